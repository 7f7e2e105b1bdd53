import * as vscode from 'vscode';

/** What the document's tokens are tinted by. */
export type TintMode = 'strongest' | 'pinned only' | 'off';

/** Loupe's settings as package.json declares them. */
export interface Settings {
  /** '' stands for the embedded one. */
  readonly 'model.path': string;
  readonly 'sae.path': string;
  /** Folders of residual SAEs, with or without a name; anything, as long as nobody has looked at it. */
  readonly domains: readonly unknown[];
  readonly sparsity: number;
  /** 0 stands for half of the processors, at least two. */
  readonly threads: number;
  readonly 'analysis.onOpen': boolean;
  readonly 'analysis.delay': number;
  readonly 'analysis.maxCharacters': number;
  readonly 'hover.features': number;
  readonly 'hover.predictions': number;
  readonly tint: TintMode;
  readonly 'features.denseAbove': number;
  readonly codeLens: boolean;
}

/** The setting's present value; package.json's default where the user's is of another type. */
export function setting<S extends keyof Settings>(name: S): Settings[S] {
  const configuration = vscode.workspace.getConfiguration('loupe');
  const value = configuration.get<Settings[S]>(name);
  const byDefault = configuration.inspect<Settings[S]>(name)?.defaultValue;
  const chosen = typeof value === typeof byDefault ? value : byDefault;
  if (chosen === undefined) throw new Error(`package.json declares no setting loupe.${name}`);
  return typeof chosen === 'number' ? (withinBounds(name, chosen) as Settings[S]) : chosen;
}

/** The bounds that package.json declares; VS Code only warns of them. */
const bounds: Partial<Record<keyof Settings, readonly [number, number]>> = {
  sparsity: [1, 4096],
  threads: [0, 256],
  'analysis.delay': [0, 60_000],
  'analysis.maxCharacters': [1000, 1_000_000],
  'hover.features': [1, 64],
  'hover.predictions': [1, 20],
};

/** The nearest whole number within the setting's bounds; as it is where it has none. */
function withinBounds(name: keyof Settings, value: number): number {
  const range = bounds[name];
  return range ? Math.min(Math.max(Math.round(value), range[0]), range[1]) : value;
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
