import * as vscode from 'vscode';
import { deviceChoices } from '../contracts/devices.ts';
import type { DeviceChoice, PrecisionChoice } from '../contracts/engine.ts';

/** What the document's tokens are tinted by. */
export type TintMode = 'strongest' | 'pinned only' | 'off';

/** Loupe's settings as package.json declares them. */
export interface Settings {
  /** '' stands for the embedded one. */
  readonly 'model.path': string;
  readonly 'sae.path': string;
  /** '' stands for HF_ENDPOINT, or the public Hub. */
  readonly 'hub.endpoint': string;
  /** '' stands for a folder in the extension's storage. */
  readonly 'hub.folder': string;
  /** Folders of residual SAEs, with or without a name; anything, as long as nobody has looked at it. */
  readonly domains: readonly unknown[];
  readonly sparsity: number;
  /** 0 stands for half of the processors, at least two. */
  readonly threads: number;
  /** Of the model, its SAEs and what trains. */
  readonly device: DeviceChoice;
  /** A folder or a package with onnxruntime's CUDA libraries; '' stands for those that Loupe downloaded. */
  readonly 'cuda.libraries': string;
  /** The NuGet feed that they are downloaded from; '' stands for NuGet's own. */
  readonly 'cuda.endpoint': string;
  readonly precision: PrecisionChoice;
  /** A folder whose node_modules has @tensorflow/tfjs-node-gpu; '': trainings go without TensorFlow. */
  readonly 'tensorflow.path': string;
  readonly 'analysis.onOpen': boolean;
  readonly 'analysis.delay': number;
  readonly 'analysis.maxCharacters': number;
  readonly 'hover.features': number;
  readonly 'hover.predictions': number;
  readonly tint: TintMode;
  readonly 'features.denseAbove': number;
  readonly codeLens: boolean;
  /** Globs relative to a workspace folder. */
  readonly 'training.include': readonly string[];
  readonly 'training.exclude': readonly string[];
  readonly 'training.useGitIgnore': boolean;
  /** Features of a residual SAE. */
  readonly 'training.width': number;
  readonly 'training.k': number;
  /** 0 stands for as many as the default passes over the text give. */
  readonly 'training.tokens': number;
  /** Share of general text in a training. */
  readonly 'training.mixGeneral': number;
  /** Gigabytes of activations. */
  readonly 'training.diskBudget': number;
  /** Files and folders; none: what comes with Loupe. */
  readonly 'training.generalText': readonly string[];
}

/** The setting's present value; package.json's default where the user's is of another type. */
export function setting<S extends keyof Settings>(name: S): Settings[S] {
  const configuration = vscode.workspace.getConfiguration('loupe');
  const value = configuration.get<Settings[S]>(name);
  const byDefault = configuration.inspect<Settings[S]>(name)?.defaultValue;
  const fits =
    typeof value === typeof byDefault && Array.isArray(value) === Array.isArray(byDefault);
  const chosen = fits ? value : byDefault;
  if (chosen === undefined) throw new Error(`package.json declares no setting loupe.${name}`);
  if (choices[name]?.includes(String(chosen)) === false) return byDefault ?? chosen;
  if (typeof chosen === 'number') return withinBounds(name, chosen) as Settings[S];
  if (textLists.has(name)) {
    return (chosen as readonly unknown[]).filter(isText) as readonly string[] as Settings[S];
  }
  return chosen;
}

/** What can be chosen, where another text would mean nothing. */
const choices: Partial<Record<keyof Settings, readonly string[]>> = {
  device: deviceChoices,
  precision: ['auto', 'float32', 'float16'],
  tint: ['strongest', 'pinned only', 'off'] satisfies readonly TintMode[],
};

/** Settings whose items can only be text, whatever the user has written into them. */
const textLists: ReadonlySet<keyof Settings> = new Set([
  'training.include',
  'training.exclude',
  'training.generalText',
]);

function isText(item: unknown): item is string {
  return typeof item === 'string' && item.trim() !== '';
}

/** The bounds that package.json declares; VS Code only warns of them. */
const bounds: Partial<Record<keyof Settings, readonly [number, number]>> = {
  sparsity: [1, 4096],
  threads: [0, 256],
  'analysis.delay': [0, 60_000],
  'analysis.maxCharacters': [1000, 1_000_000],
  'hover.features': [1, 64],
  'hover.predictions': [1, 20],
  'training.width': [16, 65_536],
  'training.k': [1, 256],
  'training.tokens': [0, 1_000_000_000],
  'training.mixGeneral': [0, 0.9],
  'training.diskBudget': [0.1, 1000],
};

const fractional: ReadonlySet<keyof Settings> = new Set([
  'training.mixGeneral',
  'training.diskBudget',
]);

/** The nearest number within the setting's bounds, whole unless fractions mean something; as it is where it has none. */
function withinBounds(name: keyof Settings, value: number): number {
  const range = bounds[name];
  if (!range) return value;
  const kept = fractional.has(name) ? value : Math.round(value);
  return Math.min(Math.max(kept, range[0]), range[1]);
}

/** Writes a setting where it is set already: in the workspace, or else for the user. */
export async function changeSetting<S extends keyof Settings>(
  name: S,
  value: Settings[S],
): Promise<void> {
  const configuration = vscode.workspace.getConfiguration('loupe');
  const inWorkspace = configuration.inspect(name)?.workspaceValue !== undefined;
  const target = inWorkspace
    ? vscode.ConfigurationTarget.Workspace
    : vscode.ConfigurationTarget.Global;
  await configuration.update(name, value, target);
}

/** Calls back when one of the settings has changed. */
export function onDidChangeSettings(
  names: readonly (keyof Settings)[],
  listener: () => void,
): vscode.Disposable {
  return vscode.workspace.onDidChangeConfiguration(event => {
    if (names.some(name => event.affectsConfiguration(`loupe.${name}`))) listener();
  });
}
