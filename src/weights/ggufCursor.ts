import { readSync } from 'node:fs';
import { Failure } from '../common/failure.ts';

const windowBytes = 1 << 20;
const longestString = 1 << 24;

/** Reads little-endian values of a hostile file in order, a window at a time, and never past the file's end. */
export class GgufCursor {
  readonly path: string;
  readonly size: number;
  private readonly file: number;
  private window = new DataView(new ArrayBuffer(0));
  private windowStart = 0;
  private at = 0;

  constructor(file: number, path: string, size: number) {
    this.file = file;
    this.path = path;
    this.size = size;
  }

  get position(): number {
    return this.at;
  }

  get remaining(): number {
    return this.size - this.at;
  }

  /** Refuses the file: `where` names the part, the sentence says what was expected and what was found. */
  bad(where: string, expected: string, found: string | number | bigint): Failure {
    return new Failure(
      'bad-file',
      `${this.path}: ${where}: expected ${expected}, found ${String(found)}.`,
      { action: 'Download the file again; it is truncated or altered.' },
    );
  }

  uint8(where: string): number {
    return this.view(1, where).getUint8(this.take(1));
  }

  int8(where: string): number {
    return this.view(1, where).getInt8(this.take(1));
  }

  uint16(where: string): number {
    return this.view(2, where).getUint16(this.take(2), true);
  }

  int16(where: string): number {
    return this.view(2, where).getInt16(this.take(2), true);
  }

  uint32(where: string): number {
    return this.view(4, where).getUint32(this.take(4), true);
  }

  int32(where: string): number {
    return this.view(4, where).getInt32(this.take(4), true);
  }

  float32(where: string): number {
    return this.view(4, where).getFloat32(this.take(4), true);
  }

  float64(where: string): number {
    return this.view(8, where).getFloat64(this.take(8), true);
  }

  uint64(where: string): bigint {
    return this.view(8, where).getBigUint64(this.take(8), true);
  }

  int64(where: string): bigint {
    return this.view(8, where).getBigInt64(this.take(8), true);
  }

  /** A 64-bit count or length that must be at most `limit`. */
  count(where: string, limit: number): number {
    const value = this.uint64(where);
    if (value > BigInt(limit)) throw this.bad(where, `at most ${limit}`, value);
    return Number(value);
  }

  string(where: string): string {
    const length = this.count(`the length of ${where}`, Math.min(longestString, this.remaining));
    const view = this.view(length, where);
    const bytes = new Uint8Array(view.buffer, view.byteOffset + this.take(length), length);
    try {
      return strictUtf8.decode(bytes);
    } catch {
      throw this.bad(where, 'UTF-8 text', 'other bytes');
    }
  }

  /** A view that holds the next `bytes`; `take` gives their offset in it and moves on. */
  private view(bytes: number, where: string): DataView {
    if (bytes > this.remaining) {
      throw this.bad(
        where,
        `${bytes} bytes at offset ${this.at}`,
        `the end of the file at ${this.size}`,
      );
    }
    const offset = this.at - this.windowStart;
    if (offset + bytes > this.window.byteLength) this.refill(Math.max(bytes, windowBytes), where);
    return this.window;
  }

  private take(bytes: number): number {
    const offset = this.at - this.windowStart;
    this.at += bytes;
    return offset;
  }

  private refill(bytes: number, where: string): void {
    const buffer = new Uint8Array(Math.min(bytes, this.remaining));
    for (let read = 0; read < buffer.length;) {
      const got = readSync(this.file, buffer, read, buffer.length - read, this.at + read);
      if (got === 0) throw this.bad(where, `${this.size} bytes in the file`, this.at + read);
      read += got;
    }
    this.window = new DataView(buffer.buffer);
    this.windowStart = this.at;
  }
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
