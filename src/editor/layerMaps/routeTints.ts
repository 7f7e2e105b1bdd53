import * as vscode from 'vscode';
import { DisposableStore } from '../../common/disposable.ts';
import { formatDecimal } from '../../common/numbers.ts';
import type { Route } from '../../contracts/layerMap.ts';
import {
  Places,
  rangeOf,
  stepOf,
  tintType,
  type OtherTints,
} from '../document/tokenDecorations.ts';

/** How much one head takes from one buffer on each token of a document; the arrays have one length. */
export interface TintedRoute {
  readonly document: vscode.TextDocument;
  readonly route: Route;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  readonly shares: Float32Array;
  readonly initial: Float32Array;
}

/** Number of steps; each is a colour of package.json, `loupe.route1` to `loupe.route10`. */
const steps = 10;

/** Tints the tokens of one document by a route, and says the exact share in a hover. */
export class RouteTints implements OtherTints, vscode.HoverProvider, vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly changed = this.owned.register(new vscode.EventEmitter<void>());
  readonly onDidChange = this.changed.event;
  private readonly types = Array.from({ length: steps }, (_, i) =>
    this.owned.register(tintType(`route${i + 1}`, `routeUnderline${i + 1}`)),
  );
  private tinted: TintedRoute | undefined;

  constructor() {
    this.owned.register(vscode.window.onDidChangeVisibleTextEditors(() => this.draw()));
    this.owned.register(vscode.languages.registerHoverProvider('*', this));
  }

  covers(document: vscode.TextDocument): boolean {
    return this.tinted?.document === document;
  }

  /** undefined takes the tints away. */
  show(tinted: TintedRoute | undefined): void {
    if (this.tinted === tinted) return;
    this.tinted = tinted;
    this.draw();
    this.changed.fire();
  }

  provideHover(document: vscode.TextDocument, position: vscode.Position): vscode.Hover | undefined {
    const { tinted } = this;
    if (tinted?.document !== document) return undefined;
    const token = tokenAt(tinted, document.offsetAt(position));
    if (token === undefined) return undefined;
    const { layer, head, buffer } = tinted.route;
    const share = formatDecimal(tinted.shares[token] ?? NaN);
    const initial = formatDecimal(tinted.initial[token] ?? NaN);
    const text = `Layer ${layer}, head ${head} takes **${share}** of its output from buffer ${buffer} here (initially ${initial}).`;
    return new vscode.Hover(new vscode.MarkdownString(text), rangeOfToken(tinted, token));
  }

  dispose(): void {
    this.owned.dispose();
  }

  private draw(): void {
    const places = this.tinted ? placesOf(this.tinted, this.types) : new Places();
    for (const editor of vscode.window.visibleTextEditors) {
      const isTinted = editor.document === this.tinted?.document;
      for (const type of this.types)
        editor.setDecorations(type, isTinted ? (places.get(type) ?? []) : []);
    }
  }
}

function placesOf(tinted: TintedRoute, types: readonly vscode.TextEditorDecorationType[]): Places {
  const places = new Places();
  const max = largest(tinted.shares);
  tinted.shares.forEach((share, token) => {
    if (!(share > 0) || max === 0) return;
    places.add(types[stepOf(share / max, steps) - 1], rangeOfToken(tinted, token));
  });
  return places;
}

export function largest(values: Float32Array): number {
  return values.reduce((most, value) => (value > most ? value : most), 0);
}

function rangeOfToken({ document, starts, ends }: TintedRoute, token: number): vscode.Range {
  return rangeOf(document, { start: starts[token] ?? 0, end: ends[token] ?? 0 });
}

/** The token that holds the offset; undefined where none does. */
function tokenAt(tokens: TokenOffsets, offset: number): number | undefined {
  const token = tokenFrom(tokens, offset);
  return token !== undefined && offset < (tokens.ends[token] ?? 0) ? token : undefined;
}

/** UTF-16 offsets of tokens in the order of the text. */
export interface TokenOffsets {
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

/** The last token that begins at the offset or before it; undefined before the first. */
export function tokenFrom({ starts }: TokenOffsets, offset: number): number | undefined {
  let [low, high] = [0, starts.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((starts[middle] ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? undefined : low - 1;
}
