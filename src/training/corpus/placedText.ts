import { Failure } from '../../common/failure.ts';
import type { TextPlace } from '../../contracts/boostReport.ts';
import type { Tokenizer } from '../../models/model.ts';
import type { CorpusDocument } from './extract/document.ts';
import { packTokens, type PackedPiece } from './packTokens.ts';

/** A token's surroundings and, where it stands in a file as it is, its place there. */
export interface PlacedToken {
  readonly before: string;
  readonly token: string;
  readonly after: string;
  readonly place: TextPlace | null;
}

const nowhere: PlacedToken = { before: '', token: '', after: '', place: null };

/** Documents cut into windows of tokens that remember where each token came from. */
export class PlacedText {
  readonly tokenIds: Uint32Array; // whole windows
  readonly windowLength: number; // T
  private readonly pieces: readonly PackedPiece<CorpusDocument>[];
  /** Whether each window begins with BOS, which is in no piece. */
  private readonly hasBos: boolean;

  private constructor(
    tokenIds: Uint32Array,
    windowLength: number,
    pieces: readonly PackedPiece<CorpusDocument>[],
    hasBos: boolean,
  ) {
    this.tokenIds = tokenIds;
    this.windowLength = windowLength;
    this.pieces = pieces;
    this.hasBos = hasBos;
  }

  /** The first `limit` tokens of the documents; fails with `empty` where they do not fill a window. */
  static async pack(
    documents: readonly CorpusDocument[],
    tokenizer: Tokenizer,
    options: {
      readonly windowLength: number;
      readonly limit: number;
      readonly signal?: AbortSignal;
    },
  ): Promise<PlacedText> {
    const pieces: PackedPiece<CorpusDocument>[] = [];
    const tokenIds = await packTokens(inTurn(documents), tokenizer, {
      ...options,
      mark: piece => pieces.push(piece),
    });
    return new PlacedText(tokenIds, options.windowLength, pieces, tokenizer.bos !== undefined);
  }

  get windows(): number {
    return this.tokenIds.length / this.windowLength;
  }

  /** The token of this number with at most `around` UTF-16 units of whole words on either side; separators and BOS are of no document. */
  at(position: number, around: number): PlacedToken {
    if (this.hasBos && position % this.windowLength === 0) return nowhere;
    const token = this.hasBos ? position - Math.floor(position / this.windowLength) - 1 : position;
    const piece = this.pieces[this.pieceOf(token)];
    if (!piece) throw new Failure('internal', `Token ${position} is in no document.`);
    const { document, first, spans, offset } = piece;
    const start = spans.starts[token - first];
    const end = spans.ends[token - first];
    if (start === undefined || end === undefined) return nowhere;
    const { text } = document;
    const [from, to] = [offset + start, offset + end];
    return {
      before: wordsBefore(text, from, around),
      token: text.slice(from, to),
      after: wordsAfter(text, to, around),
      place: document.verbatim ? { path: document.path, start: document.start + from } : null,
    };
  }

  private pieceOf(token: number): number {
    let low = 0;
    let high = this.pieces.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((this.pieces[middle]?.first ?? Infinity) <= token) low = middle;
      else high = middle;
    }
    return low;
  }
}

// eslint-disable-next-line @typescript-eslint/require-await -- what packs documents also reads them from disk
async function* inTurn<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

/** What stands before `end`, from the beginning of a word or, where none begins in reach, of a character. */
function wordsBefore(text: string, end: number, most: number): string {
  const start = Math.max(0, end - most);
  if (start === 0 || /\s/.test(text.charAt(start - 1))) return text.slice(start, end);
  const cut = text.slice(start, end);
  const word = cut.search(/\s\S/);
  return word < 0 ? cut.replace(/^[\uDC00-\uDFFF]/, '') : cut.slice(word + 1);
}

/** What stands from `start` on, to the end of a word or, where none ends in reach, of a character. */
function wordsAfter(text: string, start: number, most: number): string {
  const end = start + most;
  const cut = text.slice(start, end);
  if (end >= text.length || /\s/.test(text.charAt(end))) return cut;
  const words = /^[^]*\S(?=\s)/.exec(cut)?.[0];
  return words ?? cut.replace(/[\uD800-\uDBFF]$/, '');
}
