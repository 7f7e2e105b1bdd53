import * as vscode from 'vscode';
import { hoverCommands, hoverText, notAnalyzed } from '../../analysis/hoverText.ts';
import type { Analyzer } from './analyzer.ts';
import type { Engine } from '../engine/engine.ts';
import type { Session } from '../session.ts';
import { setting } from '../settings.ts';
import { rangeOf } from './tokenDecorations.ts';

/** Says which features fire on the word under the cursor; answered from memory, never by a model run. */
export class FeatureHover implements vscode.HoverProvider, vscode.Disposable {
  private readonly registration: vscode.Disposable;
  private readonly analyzer: Analyzer;
  private readonly engine: Engine;
  private readonly session: Session;

  constructor(analyzer: Analyzer, engine: Engine, session: Session) {
    this.analyzer = analyzer;
    this.engine = engine;
    this.session = session;
    this.registration = vscode.languages.registerHoverProvider('*', this);
  }

  provideHover(document: vscode.TextDocument, position: vscode.Position): vscode.Hover | undefined {
    const analysis = this.analyzer.of(document)?.analysis;
    const { loaded } = this.engine;
    if (!analysis || !loaded) return undefined;
    const { kept, pinned } = this.session;
    const offset = document.offsetAt(position);
    const word = document.getWordRangeAtPosition(position);
    const start = word ? document.offsetAt(word.start) : offset;
    const end = word ? document.offsetAt(word.end) : offset + 1;
    const readings = analysis.tokensIn(start, end, kept);
    if (readings.length === 0) return new vscode.Hover(notAnalyzed, word);
    // The token under the cursor comes first, explained in full.
    const isUnder = readings.map(({ start, end }) => start <= offset && offset < end);
    const ordered = [
      ...readings.filter((_, i) => isUnder[i]),
      ...readings.filter((_, i) => !isUnder[i]),
    ];
    const tokens = ordered.map(reading => ({
      reading,
      text: document.getText(rangeOf(document, reading)),
    }));
    const text = hoverText(tokens, {
      labels: loaded.labels,
      pinned,
      saes: loaded.sae,
      kept,
      document: document.uri.toString(),
      features: setting('hover.features'),
      predictions: setting('hover.predictions'),
    });
    const markdown = new vscode.MarkdownString(text);
    markdown.isTrusted = { enabledCommands: hoverCommands };
    const [first, last] = [readings[0], readings.at(-1)];
    const range = first && last && rangeOf(document, { start: first.start, end: last.end });
    return new vscode.Hover(markdown, word ?? range);
  }

  dispose(): void {
    this.registration.dispose();
  }
}
