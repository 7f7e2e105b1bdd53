import * as vscode from 'vscode';
import { DisposableStore } from '../../common/disposable.ts';
import { featureName, sourcesOf } from '../../common/featureSources.ts';
import { formatActivation, formatCount } from '../../common/numbers.ts';
import type { Analyzer } from './analyzer.ts';
import type { Engine } from '../engine/engine.ts';
import type { Session } from '../session.ts';
import { onDidChangeSettings, setting } from '../settings.ts';

/** One line above an analysed document: its tokens, L0 and EV at this k. */
export class DocumentCodeLens implements vscode.CodeLensProvider, vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly changed = this.owned.register(new vscode.EventEmitter<void>());
  readonly onDidChangeCodeLenses = this.changed.event;
  private readonly analyzer: Analyzer;
  private readonly engine: Engine;
  private readonly session: Session;

  constructor(analyzer: Analyzer, engine: Engine, session: Session) {
    this.analyzer = analyzer;
    this.engine = engine;
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
    const { loaded } = this.engine;
    if (!analyzed?.analysis || !loaded || !setting('codeLens')) return [];
    const { kept, pinned, domainsOn } = this.session;
    const { k, on } = kept;
    const metrics = analyzed.analysis.metrics(on);
    const { tokens, excluded, l0ByK, domainL0 } = metrics;
    const added = on.map(domain => ` + ${formatActivation(domainL0[domain] ?? 0)}`).join('');
    const [ev, boosted] = [metrics.evByK, metrics.boostedEvByK].map(byK => fraction(byK[k - 1]));
    const facts = [
      `${formatCount(tokens)} tokens (${formatCount(excluded)} left out)`,
      `k = ${k}`,
      `L0 ${formatActivation(l0ByK[k - 1] ?? 0)}${added}`,
      on.length === 0
        ? `EV ${ev}`
        : `EV ${ev} → ${boosted} with ${domainsOn.map(({ name }) => name).join(' + ')}`,
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
          title: `pinned ${featureName(pinned, sourcesOf(loaded.sae))}`,
          command: 'loupe.showFeature',
          arguments: [pinned],
        }),
        new vscode.CodeLens(top, {
          title: 'next',
          command: 'loupe.revealNext',
          arguments: [pinned, document.uri.toString()],
        }),
        new vscode.CodeLens(top, { title: 'unpin', command: 'loupe.unpinFeature' }),
      );
    }
    return lenses;
  }

  dispose(): void {
    this.owned.dispose();
  }
}

function fraction(value = NaN): string {
  return Number.isNaN(value) ? '–' : value.toFixed(3);
}
