import { Failure } from '../common/failure.ts';
import type { TokenSpans } from './model.ts';

/**
 * Finds where consecutive tokens lie in their text, given how many of its UTF-8 bytes each stands for. A token that
 * holds a part of a character has that character's whole range. A lone surrogate counts as the three bytes of U+FFFD,
 * which stands in for it when text becomes bytes.
 */
export class SpanWriter {
  private readonly starts: Uint32Array;
  private readonly ends: Uint32Array;
  private readonly bytes: Uint8Array;
  private readonly skipped: ReadonlySet<number>;
  private tokens = 0;
  /** The next token's first byte, the character that holds it, and how many of that character's bytes are left. */
  private at = 0;
  private start = 0;
  private end = 0;
  private left = 0;

  /** `skipped`: bytes for which the vocabulary has no token, so that no token stands for them. */
  constructor(text: string, capacity: number, skipped: ReadonlySet<number>) {
    this.bytes = new TextEncoder().encode(text);
    this.skipped = skipped;
    this.starts = new Uint32Array(capacity);
    this.ends = new Uint32Array(capacity);
  }

  add(byteLength: number): void {
    this.skip();
    this.enter();
    this.starts[this.tokens] = this.start;
    for (let i = 0; i < byteLength; i++) {
      this.skip();
      this.take();
    }
    this.ends[this.tokens++] = this.end;
  }

  /** The spans, once the tokens have covered the text. */
  finish(ids: Uint32Array): TokenSpans {
    this.skip();
    if (this.at !== this.bytes.length) throw misfit();
    return { ids, starts: this.starts, ends: this.ends };
  }

  private skip(): void {
    while (this.at < this.bytes.length && this.skipped.has(this.bytes[this.at] ?? 0)) this.take();
  }

  private take(): void {
    this.enter();
    if (this.at >= this.bytes.length) throw misfit();
    this.at++;
    this.left--;
  }

  /** Steps into the next character where the last one's bytes are all taken. */
  private enter(): void {
    if (this.left > 0 || this.at >= this.bytes.length) return;
    this.left = utf8Length(this.bytes[this.at] ?? 0);
    this.start = this.end;
    this.end += this.left === 4 ? 2 : 1;
  }
}

function misfit(): Failure {
  return new Failure('internal', 'The tokens do not add up to the text that they were made from.');
}

/** The length of a character in UTF-8 bytes, by its first byte. */
function utf8Length(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}
