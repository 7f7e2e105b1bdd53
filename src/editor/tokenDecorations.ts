import * as vscode from 'vscode';
import type { Tint } from '../analysis/documentAnalysis.ts';
import { DisposableStore } from '../common/disposable.ts';
import type { Analyzer } from './analyzer.ts';
import type { Session } from './session.ts';
import { onDidChangeSettings, setting } from './settings.ts';

/** Number of steps of tint; each is one colour of package.json, `loupe.activation1` to `loupe.activation10`. */
const steps = 10;
/** Strongest-feature tints from this step on are marked in the overview ruler: marking all would say nothing. */
const markedFrom = 8;
const redrawMilliseconds = 30;

/** Tints the tokens of analysed documents by the strongest or the pinned feature. */
export class TokenDecorations implements vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly analyzer: Analyzer;
  private readonly session: Session;
  private readonly tints: readonly vscode.TextEditorDecorationType[];
  private readonly mark: vscode.TextEditorDecorationType;
  private readonly tinted = new WeakSet<vscode.TextEditor>();
  private timer: NodeJS.Timeout | undefined;

  constructor(analyzer: Analyzer, session: Session) {
    this.analyzer = analyzer;
    this.session = session;
    this.tints = Array.from({ length: steps }, (_, i) => this.owned.register(tintType(i + 1)));
    this.mark = this.owned.register(
      vscode.window.createTextEditorDecorationType({
        overviewRulerColor: new vscode.ThemeColor('loupe.overviewRuler'),
        overviewRulerLane: vscode.OverviewRulerLane.Center,
      }),
    );
    const redraw = (): void => this.schedule();
    for (const subscription of [
      analyzer.onDidChange(redraw),
      session.onDidChange(redraw),
      onDidChangeSettings(['tint'], redraw),
      vscode.window.onDidChangeVisibleTextEditors(redraw),
      { dispose: () => clearTimeout(this.timer) },
    ]) {
      this.owned.register(subscription);
    }
  }

  dispose(): void {
    this.owned.dispose();
  }

  /** Many changes come at once: one drawing answers them. */
  private schedule(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      vscode.window.visibleTextEditors.forEach(editor => this.draw(editor));
    }, redrawMilliseconds);
  }

  private draw(editor: vscode.TextEditor): void {
    const tints = this.tintsOf(editor.document);
    if (tints.length === 0 && !this.tinted.has(editor)) return;
    this.tinted.add(editor);
    const ranges = this.tints.map((): vscode.Range[] => []);
    const marked: vscode.Range[] = [];
    for (const tint of tints) {
      const range = rangeOf(editor.document, tint);
      const step = Math.min(Math.ceil(tint.strength * steps), steps);
      ranges[step - 1]?.push(range);
      if (step >= markedFrom || this.session.pinned !== undefined) marked.push(range);
    }
    this.tints.forEach((type, i) => editor.setDecorations(type, ranges[i] ?? []));
    editor.setDecorations(this.mark, marked);
  }

  private tintsOf(document: vscode.TextDocument): Tint[] {
    const mode = setting('tint');
    const { k, pinned } = this.session;
    if (mode === 'off' || (mode === 'pinned only' && pinned === undefined)) return [];
    return this.analyzer.of(document)?.analysis?.tints(k, pinned) ?? [];
  }
}

function tintType(step: number): vscode.TextEditorDecorationType {
  return vscode.window.createTextEditorDecorationType({
    backgroundColor: new vscode.ThemeColor(`loupe.activation${step}`),
    // Of no colour in most themes; in high contrast the underline carries what a pale tint would lose.
    borderColor: new vscode.ThemeColor(`loupe.underline${step}`),
    borderStyle: 'solid',
    borderWidth: '0 0 2px 0',
    rangeBehavior: vscode.DecorationRangeBehavior.ClosedClosed,
  });
}

/** The range of offsets as positions of the document. */
export function rangeOf(
  document: vscode.TextDocument,
  { start, end }: { readonly start: number; readonly end: number },
): vscode.Range {
  return new vscode.Range(document.positionAt(start), document.positionAt(end));
}
