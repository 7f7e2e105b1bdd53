import { setImmediate } from 'node:timers/promises';
import { throwIfCancelled } from '../../common/cancelled.ts';
import { Failure } from '../../common/failure.ts';
import type { Tokenizer, TokenSpans } from '../../models/model.ts';

/** Part of a document that was tokenised at once. */
export interface PackedPiece<D> {
  readonly document: D;
  /** UTF-16 units of the document before it. */
  readonly offset: number;
  /** Number of its first token in the packed text. */
  readonly first: number;
  readonly spans: TokenSpans;
}

export interface PackOptions<D = unknown> {
  readonly windowLength: number; // T
  /** Most tokens to take. */
  readonly limit: number;
  readonly signal?: AbortSignal;
  report?(tokens: number): void;
  /** Told of every piece, in order. */
  mark?(piece: PackedPiece<D>): void;
}

/** Longest piece of a document that is tokenised at once, UTF-16 units: cancelling is seen between pieces. */
const pieceLength = 2 ** 20;

/**
 * The tokens of documents one after the other, a separator after each, cut into whole windows: what does not fill
 * the last window is dropped. Where the model expects BOS, each window begins with it, and has one token of text less;
 * pieces are numbered as if it were not there.
 */
export async function packTokens<D extends { readonly text: string }>(
  documents: AsyncIterable<D>,
  tokenizer: Tokenizer,
  options: PackOptions<D>,
): Promise<Uint32Array> {
  const { signal } = options;
  const windowLength = options.windowLength - (tokenizer.bos === undefined ? 0 : 1); // of text
  const limit = Math.floor(options.limit / options.windowLength) * windowLength;
  let tokens = new Uint32Array(Math.min(limit, 2 ** 20));
  let count = 0;
  const push = (ids: Uint32Array): void => {
    const taken = ids.subarray(0, limit - count);
    if (count + taken.length > tokens.length) {
      const larger = new Uint32Array(
        Math.min(limit, Math.max(2 * tokens.length, count + taken.length)),
      );
      larger.set(tokens.subarray(0, count));
      tokens = larger;
    }
    tokens.set(taken, count);
    count += taken.length;
  };
  for await (const document of documents) {
    let offset = 0;
    for (const piece of pieces(document.text)) {
      throwIfCancelled(signal);
      const spans = tokenizer.encode(piece);
      options.mark?.({ document, offset, first: count, spans });
      push(spans.ids);
      offset += piece.length;
      options.report?.(count);
      if (count >= limit) break;
      await setImmediate();
    }
    push(Uint32Array.of(tokenizer.separator));
    if (count >= limit) break;
  }
  const whole = Math.floor(count / windowLength) * windowLength;
  if (whole === 0) {
    throw new Failure(
      'empty',
      `The text gives ${count} tokens; one window takes ${windowLength}.`,
      { action: 'Give more text, or more tokens to take (--tokens).' },
    );
  }
  if (tokenizer.bos === undefined) return tokens.slice(0, whole);
  return begunWith(tokenizer.bos, tokens.subarray(0, whole), windowLength);
}

/** Windows of `length` tokens with one more before each. */
function begunWith(first: number, tokens: Uint32Array, length: number): Uint32Array {
  const windows = tokens.length / length;
  const begun = new Uint32Array(tokens.length + windows).fill(first);
  for (let window = 0; window < windows; window++) {
    const own = tokens.subarray(window * length, (window + 1) * length);
    begun.set(own, window * (length + 1) + 1);
  }
  return begun;
}

/** A long text in pieces that end at line breaks where there are any. */
export function* pieces(text: string): Generator<string> {
  for (let start = 0; start < text.length;) {
    let end = Math.min(text.length, start + pieceLength);
    if (end < text.length) {
      const line = text.lastIndexOf('\n', end - 1);
      if (line > start) end = line + 1;
      else if (isHighSurrogate(text.charCodeAt(end - 1))) end--;
    }
    yield text.slice(start, end);
    start = end;
  }
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}
