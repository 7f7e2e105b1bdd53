import * as vscode from 'vscode';

/** What of the menu depends on how things stand. */
export interface MenuFacts {
  /** The engine does not run, and to restart it comes first. */
  readonly failed: boolean;
  readonly hasReports: boolean;
  /** onnxruntime's CUDA libraries are for this machine. */
  readonly hasCuda: boolean;
}

export interface MenuItem extends vscode.QuickPickItem {
  readonly command?: string;
}

type Line = readonly [label: string, command: string];

/** The status item's menu, in groups. */
export function menuItems({ failed, hasReports, hasCuda }: MenuFacts): readonly MenuItem[] {
  const restart: Line = ['$(debug-restart) Restart Engine', 'loupe.restartEngine'];
  const only = (when: boolean, line: Line): readonly Line[] => (when ? [line] : []);
  return [
    ...group('', only(failed, restart)),
    ...group('Document', [
      ['$(search) Analyze Document', 'loupe.analyzeDocument'],
      ['$(close) Clear Analysis', 'loupe.clearAnalysis'],
      ['$(settings) Set Sparsity', 'loupe.setSparsity'],
      ['$(layout-sidebar-left) Open Side Bar', 'loupe.sidebar.focus'],
      ['$(graph) Show Layer Map', 'loupe.showLayerMap'],
    ]),
    ...group('Workspace', [
      ['$(mortar-board) Train Residual SAE on Workspace', 'loupe.trainResidual'],
      ['$(git-merge) Fit LIMe Routers on Workspace', 'loupe.fitRouters'],
      ['$(graph-line) Show Training', 'loupe.showTraining'],
      ...only(hasReports, ['$(report) Show Report', 'loupe.showReport']),
    ]),
    ...group('Model', [
      ['$(layers) Choose Domains', 'loupe.chooseDomains'],
      ['$(file-binary) Choose SAE', 'loupe.chooseSae'],
      ['$(chip) Choose Model', 'loupe.chooseModel'],
    ]),
    ...group('Engine', [
      ...only(hasCuda, ['$(cloud-download) Download CUDA Libraries', 'loupe.downloadCuda']),
      ...only(!failed, restart),
      ['$(output) Show Log', 'loupe.showLog'],
    ]),
  ];
}

/** Shows it, and does what is chosen. */
export async function showMenu(facts: MenuFacts): Promise<void> {
  const chosen = await vscode.window.showQuickPick(menuItems(facts), { title: 'Loupe' });
  if (chosen?.command !== undefined) await vscode.commands.executeCommand(chosen.command);
}

function group(label: string, lines: readonly Line[]): readonly MenuItem[] {
  if (lines.length === 0) return [];
  const items = lines.map(([text, command]) => ({ label: text, command }));
  const separator = { label, kind: vscode.QuickPickItemKind.Separator };
  return label === '' ? items : [separator, ...items];
}
