import * as vscode from 'vscode';
import { DisposableStore } from '../common/disposable.ts';
import { formatActivation, formatCount } from '../common/numbers.ts';
import type { Analyzer } from './analyzer.ts';
import type { Session } from './session.ts';
import { onDidChangeSettings, setting } from './settings.ts';

/** One line above an analysed document: its tokens, L0 and EV at this k. */
export class DocumentCodeLens implements vscode.CodeLensProvider, vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly changed = this.owned.register(new vscode.EventEmitter<void>());
  readonly onDidChangeCodeLenses = this.changed.event;
  private readonly analyzer: Analyzer;
  private readonly session: Session;

  constructor(analyzer: Analyzer, session: Session) {
    this.analyzer = analyzer;
    this.session = session;
    const update = (): void => this.changed.fire();
    for (const subscription of [
      vscode.languages.registerCodeLensProvider('*', this),
      analyzer.onDidChange(update),
      session.onDidChange(update),
      onDidChangeSettings(['codeLens'], update),
    ]) {
      this.owned.register(subscription);
    }
  }

  provideCodeLenses(document: vscode.TextDocument): vscode.CodeLens[] {
    const analyzed = this.analyzer.of(document);
    if (!analyzed?.analysis || !setting('codeLens')) return [];
    const { k, pinned } = this.session;
    const { tokens, excluded, l0ByK, evByK } = analyzed.analysis.metrics();
    const ev = evByK[k - 1] ?? NaN;
    const facts = [
      `${formatCount(tokens)} tokens (${formatCount(excluded)} left out)`,
      `k = ${k}`,
      `L0 ${formatActivation(l0ByK[k - 1] ?? 0)}`,
      `EV ${Number.isNaN(ev) ? '–' : ev.toFixed(3)}`,
    ];
    const top = new vscode.Range(0, 0, 0, 0);
    const lenses = [
      new vscode.CodeLens(top, {
        title: `Loupe: ${facts.join(' · ')}`,
        command: 'loupe.sidebar.focus',
        tooltip: 'Open the sparsity slider and the features of this document',
      }),
    ];
    if (pinned !== undefined) {
      lenses.push(
        new vscode.CodeLens(top, {
          title: `pinned #${pinned}`,
          command: 'loupe.showFeature',
          arguments: [pinned],
        }),
        new vscode.CodeLens(top, { title: 'next', command: 'loupe.revealNext' }),
        new vscode.CodeLens(top, { title: 'unpin', command: 'loupe.unpinFeature' }),
      );
    }
    return lenses;
  }

  dispose(): void {
    this.owned.dispose();
  }
}
