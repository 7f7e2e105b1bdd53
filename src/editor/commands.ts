import * as vscode from 'vscode';
import { Failure } from '../common/failure.ts';
import { featureName, parseFeature, sourcesOf } from '../common/featureSources.ts';
import { isAnalyzable } from './document/activeDocument.ts';
import { noDocument } from './document/analyzer.ts';
import { addDomain, chooseDomains, removeDomain } from './domains/chooseDomains.ts';
import { chooseModel, chooseSae, type ChooseTargets } from './chooseFiles.ts';
import { downloadCudaLibraries } from './engine/cudaRuntime.ts';
import type { Domains } from './domains/domains.ts';
import type { Engine } from './engine/engine.ts';
import { showMenu } from './menu.ts';
import type { FeaturePanels } from './panels/featurePanel.ts';
import { presentFailure } from './presentFailure.ts';
import { revealToken } from './document/revealToken.ts';
import { isFeature } from './session.ts';
import type { SidebarSources } from './panels/sidebarState.ts';
import type { Training } from './training/training.ts';

/** What the commands act on. */
export interface CommandTargets extends SidebarSources, ChooseTargets {
  readonly engine: Engine;
  readonly panels: FeaturePanels;
  readonly domains: Domains;
  readonly training: Pick<Training, 'reports'>;
  readonly log: vscode.LogOutputChannel;
}

type Act = (targets: CommandTargets, argument: unknown, more: unknown) => void | Promise<void>;

/** Every command of package.json; those with a feature take its number among all, or ask for it. */
const commands: Readonly<Record<string, Act>> = {
  'loupe.analyzeDocument': analyzeDocument,
  'loupe.clearAnalysis': ({ active, analyzer }) => {
    if (active.current) analyzer.clear(active.current);
  },
  'loupe.pinFeature': async (targets, argument) => {
    const feature = await featureOf(targets, argument, 'Pin a feature: tint documents by it');
    if (feature !== undefined) targets.session.pin(feature);
  },
  'loupe.unpinFeature': ({ session }) => session.pin(undefined),
  'loupe.showFeature': async (targets, argument) => {
    const feature = await featureOf(targets, argument, 'Show a feature');
    if (feature !== undefined) targets.panels.show(feature);
  },
  'loupe.revealNext': (targets, feature, document) => reveal(targets, { feature, document }, 1),
  'loupe.revealPrevious': (targets, feature, document) =>
    reveal(targets, { feature, document }, -1),
  'loupe.setSparsity': setSparsity,
  'loupe.increaseSparsity': ({ session }) => session.setK(session.k + 1),
  'loupe.decreaseSparsity': ({ session }) => session.setK(session.k - 1),
  'loupe.explainAtCursor': () => execute('editor.action.showHover'),
  'loupe.chooseModel': chooseModel,
  'loupe.chooseSae': chooseSae,
  'loupe.chooseDomains': chooseDomains,
  'loupe.addDomain': addDomain,
  'loupe.removeDomain': removeDomain,
  'loupe.compareDomains': compareDomains,
  'loupe.downloadCuda': downloadCudaLibraries,
  'loupe.restartEngine': ({ engine }) => engine.restart().then(() => undefined),
  'loupe.showLog': ({ log }) => log.show(true),
  'loupe.showMenu': openMenu,
};

/** Registers them all; what one throws is told to the user in one way. */
export function registerCommands(targets: CommandTargets): vscode.Disposable {
  const run = async (act: Act, argument: unknown, more: unknown): Promise<void> => {
    try {
      await act(targets, argument, more);
    } catch (error) {
      const failure = Failure.from(error);
      const { state } = targets.engine;
      const ofEngine = state.kind === 'failed' && state.failure === failure;
      presentFailure(failure, ofEngine ? state.stage : 'document');
    }
  };
  return vscode.Disposable.from(
    ...Object.entries(commands).map(([id, act]) =>
      vscode.commands.registerCommand(id, (argument: unknown, more: unknown) =>
        run(act, argument, more),
      ),
    ),
  );
}

async function analyzeDocument({ active, analyzer }: CommandTargets): Promise<void> {
  const document = documentInFront() ?? (panelInFront() ? active.current : undefined);
  if (!document) throw noDocument();
  await analyzer.analyze(document);
}

function documentInFront(): vscode.TextDocument | undefined {
  const document = vscode.window.activeTextEditor?.document;
  return document && isAnalyzable(document) ? document : undefined;
}

/** Whether a webview lies where the editors are: it speaks of the document that was active before. */
function panelInFront(): boolean {
  const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  return input instanceof vscode.TabInputWebview;
}

async function featureOf(
  { engine }: CommandTargets,
  argument: unknown,
  title: string,
): Promise<number | undefined> {
  if (isFeature(argument)) return argument;
  const sae = engine.loaded?.sae;
  const sources = sae ? sourcesOf(sae) : [];
  const parse = (text: string): number | undefined =>
    sae ? parseFeature(text, sources) : Number(/^#?(\d{1,7})$/.exec(text.trim())?.[1] ?? NaN);
  const [base, domain] = sources;
  const ofDomain = domain ? `, or a domain’s as in “${featureName(domain.first, sources)}”` : '';
  const text = await vscode.window.showInputBox({
    title: `Loupe: ${title}`,
    prompt: base ? `Number, 0 to ${base.features - 1}${ofDomain}` : 'Number of the feature',
    validateInput: value => (isFeature(parse(value)) ? undefined : 'Not the number of a feature.'),
  });
  return text === undefined ? undefined : parse(text);
}

/** Moves the cursor to the next or the previous token on which the feature fires, around the document's end. */
async function reveal(
  targets: CommandTargets,
  asked: { readonly feature: unknown; readonly document: unknown },
  step: 1 | -1,
): Promise<void> {
  const { active, analyzer, session, engine } = targets;
  const feature = await featureOf(targets, asked.feature ?? session.pinned, 'Go to a feature');
  // A link names the document that it stands for: another may be active by now.
  const document =
    typeof asked.document === 'string'
      ? vscode.workspace.textDocuments.find(({ uri }) => uri.toString() === asked.document)
      : active.current;
  const analysis = document && analyzer.of(document)?.analysis;
  if (feature === undefined || !analysis) return;
  const firings = analysis.firings(feature, session.kept);
  if (firings.length === 0) {
    const name = engine.loaded ? featureName(feature, sourcesOf(engine.loaded.sae)) : `#${feature}`;
    const message = `Feature ${name} fires nowhere in this document at k = ${session.k}.`;
    vscode.window.setStatusBarMessage(message, 5000);
    return;
  }
  const editor = vscode.window.visibleTextEditors.find(shown => shown.document === document);
  const position = editor?.selection.start;
  const cursor = position === undefined ? -1 : document.offsetAt(position);
  const ordered = step === 1 ? firings : firings.toReversed();
  const isBeyond = (start: number): boolean => (step === 1 ? start > cursor : start < cursor);
  const found = ordered.find(({ start }) => isBeyond(start)) ?? ordered[0];
  if (!found) return;
  await revealToken(document, found);
}

async function setSparsity({ session }: CommandTargets): Promise<void> {
  const { k, maxK } = session;
  const text = await vscode.window.showInputBox({
    title: 'Loupe: Set Sparsity',
    prompt: `Features kept per token (k), 1 to ${maxK}`,
    value: String(k),
    validateInput: value => {
      const number = Number(value);
      const fits = Number.isInteger(number) && number >= 1 && number <= maxK;
      return fits ? undefined : `A whole number from 1 to ${maxK}.`;
    },
  });
  if (text !== undefined) session.setK(Number(text));
}

/** Tints tokens by what the domains that are on change of the error, or by their features again. */
async function compareDomains(targets: CommandTargets): Promise<void> {
  const { session } = targets;
  if (session.comparing) session.setCompare(false);
  else {
    if (session.domainsOn.length === 0) await chooseDomains(targets);
    session.setCompare(true);
  }
}

/** onnxruntime's CUDA libraries are for Linux on x64 alone. */
async function openMenu({ engine, training }: CommandTargets): Promise<void> {
  await showMenu({
    failed: engine.state.kind === 'failed',
    hasReports: (training.reports?.all.length ?? 0) > 0,
    hasCuda: process.platform === 'linux' && process.arch === 'x64',
  });
}

async function execute(command: string): Promise<void> {
  await vscode.commands.executeCommand(command);
}
