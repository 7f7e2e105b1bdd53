import { Failure } from '../common/failure.ts';

/** The `bad-file` failure of a pickle. */
export function badPickle(path: string, what: string): Failure {
  return new Failure('bad-file', `${path} is not a readable PyTorch file: ${what}.`, {
    action: 'Download or export the file again.',
  });
}

/** Reads the bytes of a pickle in order; every read is held to their end. */
export class PickleCursor {
  readonly path: string;
  private readonly bytes: Uint8Array<ArrayBuffer>;
  private readonly view: DataView;
  private at = 0;

  constructor(bytes: Uint8Array<ArrayBuffer>, path: string) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.path = path;
  }

  take(length: number): Uint8Array<ArrayBuffer> {
    const end = this.at + length;
    if (length < 0 || end > this.bytes.length) {
      throw badPickle(this.path, 'its pickle is cut short');
    }
    const taken = this.bytes.subarray(this.at, end);
    this.at = end;
    return taken;
  }

  uint8(): number {
    return this.take(1)[0] ?? 0;
  }

  uint16(): number {
    const at = this.at;
    this.take(2);
    return this.view.getUint16(at, true);
  }

  int32(): number {
    const at = this.at;
    this.take(4);
    return this.view.getInt32(at, true);
  }

  uint32(): number {
    return this.int32() >>> 0;
  }

  /** A length of 64 bits. */
  length64(): number {
    const at = this.at;
    this.take(8);
    return Number(this.view.getBigUint64(at, true));
  }

  /** Pickle's one big-endian number. */
  float64(): number {
    const at = this.at;
    this.take(8);
    return this.view.getFloat64(at, false);
  }

  text(length: number): string {
    return new TextDecoder().decode(this.take(length));
  }

  line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) throw badPickle(this.path, 'its pickle is cut short');
    const text = this.text(end - this.at);
    this.at = end + 1;
    return text;
  }

  /** A little-endian two's complement integer of so many bytes. */
  long(length: number): number {
    const bytes = this.take(length);
    let value = 0n;
    if (length > 16) throw badPickle(this.path, 'it has a number beyond all sizes');
    bytes.forEach((byte, i) => (value |= BigInt(byte) << BigInt(8 * i)));
    return Number(BigInt.asIntN(8 * Math.max(1, length), value));
  }
}
