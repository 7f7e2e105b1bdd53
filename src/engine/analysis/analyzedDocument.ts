import type { AnalysisPart } from '../../contracts/engine.ts';
import type { TokenSpans } from '../../models/model.ts';
import { cellLength, type Window } from './windows.ts';

/** What the engine keeps of a document between two analyses: its tokens and the finished cells of their results. */
export class AnalyzedDocument {
  /** Next-token predictions per token (P). */
  readonly predictions: number;
  private spans: TokenSpans = {
    ids: new Uint32Array(),
    starts: new Uint32Array(),
    ends: new Uint32Array(),
  };
  /** By the number of their first token. */
  private readonly finished = new Map<number, AnalysisPart>();

  constructor(predictions: number) {
    this.predictions = predictions;
  }

  get tokens(): TokenSpans {
    return this.spans;
  }

  get tokenCount(): number {
    return this.spans.ids.length;
  }

  /** The finished cells, in no order. */
  get cells(): readonly AnalysisPart[] {
    return [...this.finished.values()];
  }

  /**
   * The document's text now has these tokens. Cells within the common start of old and new tokens stay: the model is
   * causal, so what follows a token does not change what is known of it.
   */
  update(spans: TokenSpans): { readonly common: number } {
    const common = commonStart(this.spans, spans);
    this.spans = spans;
    for (const [first, { tokenIds }] of this.finished) {
      const end = Math.min(first + cellLength, spans.ids.length);
      if (end > common || first + tokenIds.length !== end) this.finished.delete(first);
    }
    return { common };
  }

  add(cell: AnalysisPart): void {
    this.finished.set(cell.firstToken, cell);
  }

  /** The first of the window's own tokens whose cell is not finished. */
  firstMissing({ ownStart, end }: Window): number | undefined {
    for (let first = ownStart; first < end; first += cellLength) {
      if (!this.finished.has(first)) return first;
    }
    return undefined;
  }

  /** The token that holds or follows the UTF-16 offset, or the last one. */
  tokenAt(offset: number): number {
    const found = this.spans.ends.findIndex(end => end > offset);
    return found < 0 ? this.tokenCount - 1 : found;
  }
}

function commonStart(a: TokenSpans, b: TokenSpans): number {
  const most = Math.min(a.ids.length, b.ids.length);
  let i = 0;
  while (
    i < most &&
    a.ids[i] === b.ids[i] &&
    a.starts[i] === b.starts[i] &&
    a.ends[i] === b.ends[i]
  )
    i++;
  return i;
}
