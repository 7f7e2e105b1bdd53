import * as vscode from 'vscode';
import { DisposableStore } from '../../common/disposable.ts';
import type { Analyzer } from './analyzer.ts';
import type { Session } from '../session.ts';
import { onDidChangeSettings, setting } from '../settings.ts';

/** Number of steps of tint; each is one colour of package.json, `loupe.activation1` to `loupe.activation10`. */
const steps = 10;
/** Strongest-feature tints from this step on are marked in the overview ruler: marking all would say nothing. */
const markedFrom = 8;
const redrawMilliseconds = 30;

/** Steps of a comparison's tint, in each direction: `loupe.shrunk1` to `loupe.shrunk5`, and `loupe.grown1` on. */
const comparedSteps = 5;

/** Tints that take the place of these while they last. */
export interface OtherTints {
  readonly onDidChange: vscode.Event<void>;
  covers(document: vscode.TextDocument): boolean;
}

/** Tints the tokens of analysed documents by the strongest or the pinned feature, or by what domains change. */
export class TokenDecorations implements vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly analyzer: Analyzer;
  private readonly session: Session;
  private readonly tints: readonly vscode.TextEditorDecorationType[];
  private readonly shrunk: readonly vscode.TextEditorDecorationType[];
  private readonly grown: readonly vscode.TextEditorDecorationType[];
  private readonly mark: vscode.TextEditorDecorationType;
  private readonly tinted = new WeakSet<vscode.TextEditor>();
  private readonly others: OtherTints;
  private timer: NodeJS.Timeout | undefined;

  constructor(analyzer: Analyzer, session: Session, others: OtherTints) {
    this.others = others;
    this.analyzer = analyzer;
    this.session = session;
    const types = (length: number, background: string, underline: string, style?: string) =>
      Array.from({ length }, (_, i) =>
        this.owned.register(tintType(`${background}${i + 1}`, `${underline}${i + 1}`, style)),
      );
    this.tints = types(steps, 'activation', 'underline');
    this.shrunk = types(comparedSteps, 'shrunk', 'shrunkUnderline');
    // Dashed where underlines are seen: the two directions differ by more than their colour.
    this.grown = types(comparedSteps, 'grown', 'grownUnderline', 'dashed');
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
      others.onDidChange(redraw),
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
    const { document } = editor;
    const places = this.places(document);
    if (places.size === 0 && !this.tinted.has(editor)) return;
    this.tinted.add(editor);
    for (const type of [...this.tints, ...this.shrunk, ...this.grown, this.mark]) {
      editor.setDecorations(type, places.get(type) ?? []);
    }
  }

  private places(document: vscode.TextDocument): Places {
    if (this.others.covers(document)) return new Places();
    return this.session.comparing ? this.compared(document) : this.activations(document);
  }

  private activations(document: vscode.TextDocument): Places {
    const mode = setting('tint');
    const { kept, pinned } = this.session;
    const places = new Places();
    if (mode === 'off' || (mode === 'pinned only' && pinned === undefined)) return places;
    for (const tint of this.analyzer.of(document)?.analysis?.tints(kept, pinned) ?? []) {
      const range = rangeOf(document, tint);
      const step = stepOf(tint.strength, steps);
      places.add(this.tints[step - 1], range);
      if (step >= markedFrom || pinned !== undefined) places.add(this.mark, range);
    }
    return places;
  }

  private compared(document: vscode.TextDocument): Places {
    const places = new Places();
    for (const tint of this.analyzer.of(document)?.analysis?.errorTints(this.session.kept) ?? []) {
      const step = stepOf(tint.strength, comparedSteps);
      places.add(this[tint.direction][step - 1], rangeOf(document, tint));
    }
    return places;
  }
}

/** Which stretches of a document are decorated in which way. */
export class Places extends Map<vscode.TextEditorDecorationType, vscode.Range[]> {
  add(type: vscode.TextEditorDecorationType | undefined, range: vscode.Range): void {
    if (!type) return;
    const ranges = this.get(type);
    if (ranges) ranges.push(range);
    else this.set(type, [range]);
  }
}

/** Which of `count` steps a strength of 0 to 1 is. */
export function stepOf(strength: number, count: number): number {
  return Math.min(Math.max(1, Math.ceil(strength * count)), count);
}

/** A tint by the names of its two colours, without `loupe.`. */
export function tintType(
  background: string,
  underline: string,
  style = 'solid',
): vscode.TextEditorDecorationType {
  return vscode.window.createTextEditorDecorationType({
    backgroundColor: new vscode.ThemeColor(`loupe.${background}`),
    // Of no colour in most themes; in high contrast the underline carries what a pale tint would lose.
    borderColor: new vscode.ThemeColor(`loupe.${underline}`),
    borderStyle: style,
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
