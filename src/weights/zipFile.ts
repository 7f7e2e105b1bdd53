import { createReadStream, createWriteStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { PassThrough, Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, crc32, createInflateRaw, inflateRaw, inflateRawSync } from 'node:zlib';
import { Failure } from '../common/failure.ts';
import { readBytes, withFile } from './fileBytes.ts';

/** One file in a zip archive. */
export interface ZipEntry {
  readonly name: string;
  /** 0: stored, 8: deflated. */
  readonly method: number;
  /** Bytes in the archive, and unpacked. */
  readonly packed: number;
  readonly size: number;
  readonly crc: number;
  /** Of the header that precedes the data. */
  readonly headerStart: number;
}

/** Most bytes of the directory at the archive's end: SAEs have a few dozen entries. */
const maxDirectory = 2 ** 24;
const maxComment = 65_535;
/** Deflate gives at most about 1,032 bytes for one. */
const maxRatio = 1032;

/**
 * The directory of a zip archive (APPNOTE 6.3, with zip64), held to the file's size before anything is allocated;
 * entries are read when asked for, stored ones straight from their place.
 */
export class ZipFile {
  readonly path: string;
  readonly entries: ReadonlyMap<string, ZipEntry>;
  private readonly fileSize: number;

  private constructor(path: string, fileSize: number, entries: ReadonlyMap<string, ZipEntry>) {
    this.path = path;
    this.fileSize = fileSize;
    this.entries = entries;
  }

  static async open(path: string): Promise<ZipFile> {
    return await withFile(path, async file => {
      const stat = await file.stat();
      if (!stat.isFile()) throw badZip(path, 'it is a folder or a device');
      const { start, length } = await findDirectory(file, stat.size, path);
      const bytes = await readBytes(file, start, length, path);
      return new ZipFile(path, stat.size, parseDirectory(bytes, stat.size, path));
    });
  }

  /** The bytes of an entry; fails with `bad-file` where its checksum is another. */
  async read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const entry = this.entry(name);
    const bytes = await this.packedBytes(entry, entry.packed);
    const unpacked = entry.method === 0 ? bytes : await this.inflated(bytes, entry);
    let sum = 0;
    for (let at = 0; at < unpacked.length; at += 2 ** 30) {
      sum = crc32(unpacked.subarray(at, at + 2 ** 30), sum);
    }
    if (sum === entry.crc) return unpacked;
    throw badZip(this.path, `the checksum of its entry "${name.slice(0, 80)}" is wrong`);
  }

  /** Some of the first bytes of an entry, at least `length` of them where it has so many; not checked. */
  async readStart(name: string, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const entry = this.entry(name);
    const bytes = await this.packedBytes(entry, Math.min(length, entry.packed));
    if (entry.method === 0) return bytes;
    try {
      // The data goes on behind these bytes.
      const part = inflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH });
      return Uint8Array.from(part);
    } catch (cause) {
      throw badZip(this.path, `"${name.slice(0, 80)}" cannot be unpacked`, cause);
    }
  }

  /** Writes an entry to a file, however large it is; fails with `bad-file` where its size or checksum is another. */
  async unpack(name: string, target: string, signal: AbortSignal): Promise<void> {
    const entry = this.entry(name);
    const start = await withFile(this.path, file => this.dataStart(file, entry));
    const range = { start, end: start + entry.packed - 1, highWaterMark: 2 ** 20 };
    const packed = entry.packed === 0 ? Readable.from([]) : createReadStream(this.path, range);
    let [size, sum] = [0, 0];
    const tooLong = badZip(this.path, `"${name.slice(0, 80)}" is longer than it claims`);
    const counted = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        size += chunk.length;
        sum = crc32(chunk, sum);
        done(size > entry.size ? tooLong : null, chunk);
      },
    });
    const inflate = entry.method === 0 ? new PassThrough() : createInflateRaw();
    try {
      await pipeline(packed, inflate, counted, createWriteStream(target), { signal });
    } catch (error) {
      if (signal.aborted) throw Failure.from(signal.reason);
      const isZlib =
        error instanceof Error && 'code' in error && String(error.code).startsWith('Z_');
      throw isZlib
        ? badZip(this.path, `"${name.slice(0, 80)}" cannot be unpacked`, error)
        : Failure.from(error);
    }
    if (size === entry.size && sum === entry.crc) return;
    throw badZip(this.path, `the size or checksum of its entry "${name.slice(0, 80)}" is wrong`);
  }

  private entry(name: string): ZipEntry {
    const entry = this.entries.get(name);
    if (!entry) throw badZip(this.path, `it has no entry "${name.slice(0, 80)}"`);
    const { method, packed, size } = entry;
    if (method !== 0 && method !== 8) {
      throw new Failure(
        'unsupported',
        `${this.path}: "${name.slice(0, 80)}" is packed by method ${method}; Loupe reads stored and deflated entries.`,
      );
    }
    if (method === 0 ? packed === size : size <= packed * maxRatio + 64) return entry;
    throw badZip(this.path, `its entry "${name.slice(0, 80)}" claims ${size} bytes in ${packed}`);
  }

  private packedBytes(entry: ZipEntry, length: number): Promise<Uint8Array<ArrayBuffer>> {
    return withFile(this.path, async file =>
      readBytes(file, await this.dataStart(file, entry), length, this.path),
    );
  }

  /** The header before the data repeats the name, and may have another extra field than the directory. */
  private async dataStart(file: FileHandle, entry: ZipEntry): Promise<number> {
    const { headerStart, packed, name } = entry;
    if (headerStart + 30 > this.fileSize) throw badZip(this.path, `"${name}" lies behind its end`);
    const header = view(await readBytes(file, headerStart, 30, this.path));
    if (header.getUint32(0, true) !== 0x04034b50) {
      throw badZip(this.path, `"${name.slice(0, 80)}" does not begin where its directory says`);
    }
    const start = headerStart + 30 + header.getUint16(26, true) + header.getUint16(28, true);
    if (start + packed <= this.fileSize) return start;
    throw badZip(this.path, `"${name.slice(0, 80)}" lies behind its end`);
  }

  private async inflated(bytes: Uint8Array, { name, size }: ZipEntry) {
    const result = await new Promise<Buffer>((resolve, reject) =>
      inflateRaw(bytes, { maxOutputLength: Math.max(1, size) }, (error, unpacked) => {
        if (error) reject(badZip(this.path, `"${name.slice(0, 80)}" cannot be unpacked`, error));
        else resolve(unpacked);
      }),
    );
    if (result.length === size) return Uint8Array.from(result);
    throw badZip(
      this.path,
      `"${name.slice(0, 80)}" unpacks to ${result.length} bytes, not ${size}`,
    );
  }
}

/** Where the central directory lies, from the records at the end of the file. */
async function findDirectory(
  file: FileHandle,
  fileSize: number,
  path: string,
): Promise<{ readonly start: number; readonly length: number }> {
  const tail = Math.min(fileSize, maxComment + 22);
  const bytes = view(await readBytes(file, fileSize - tail, tail, path));
  let at = tail - 22;
  while (at >= 0 && bytes.getUint32(at, true) !== 0x06054b50) at--;
  if (at < 0) throw badZip(path, 'it has no directory at its end');
  let length = bytes.getUint32(at + 12, true);
  let start = bytes.getUint32(at + 16, true);
  const locator = fileSize - tail + at - 20;
  if ((length === 0xffffffff || start === 0xffffffff) && locator >= 0) {
    const found = view(await readBytes(file, locator, 20, path));
    const record = found.getUint32(0, true) === 0x07064b50 ? whole(found, 8, path) : fileSize;
    if (record + 56 > fileSize) throw badZip(path, 'its zip64 record lies behind its end');
    const large = view(await readBytes(file, record, 56, path));
    if (large.getUint32(0, true) !== 0x06064b50) throw badZip(path, 'it has no zip64 record');
    length = whole(large, 40, path);
    start = whole(large, 48, path);
  }
  if (length > maxDirectory || start + length > fileSize) {
    throw badZip(path, `it claims a directory of ${length} bytes at ${start} in ${fileSize}`);
  }
  return { start, length };
}

function parseDirectory(
  bytes: Uint8Array<ArrayBuffer>,
  fileSize: number,
  path: string,
): ReadonlyMap<string, ZipEntry> {
  const entries = new Map<string, ZipEntry>();
  const directory = view(bytes);
  for (let at = 0; at < bytes.length;) {
    if (at + 46 > bytes.length || directory.getUint32(at, true) !== 0x02014b50) {
      throw badZip(path, 'its directory is broken');
    }
    const nameEnd = at + 46 + directory.getUint16(at + 28, true);
    const extraEnd = nameEnd + directory.getUint16(at + 30, true);
    const next = extraEnd + directory.getUint16(at + 32, true);
    if (next > bytes.length) throw badZip(path, 'its directory is cut short');
    const name = new TextDecoder().decode(bytes.subarray(at + 46, nameEnd));
    const large = largeSizes(directory, nameEnd, extraEnd, path);
    // A field of 32 ones is in the zip64 extra field, in this order.
    const field = (offset: number) => {
      const value = directory.getUint32(at + offset, true);
      return value === 0xffffffff ? (large.shift() ?? value) : value;
    };
    const size = field(24);
    const packed = field(20);
    const headerStart = field(42);
    if (packed > fileSize || headerStart > fileSize) throw badZip(path, `"${name}" is too large`);
    if (entries.has(name)) throw badZip(path, `it has two entries "${name.slice(0, 80)}"`);
    const method = directory.getUint16(at + 10, true);
    const crc = directory.getUint32(at + 16, true);
    entries.set(name, { name, method, packed, size, crc, headerStart });
    at = next;
  }
  return entries;
}

/** The numbers of the zip64 extra field, if there is one. */
function largeSizes(directory: DataView, start: number, end: number, path: string): number[] {
  for (let at = start; at + 4 <= end;) {
    const id = directory.getUint16(at, true);
    const stop = at + 4 + directory.getUint16(at + 2, true);
    if (stop > end) break;
    if (id !== 1) {
      at = stop;
      continue;
    }
    const sizes: number[] = [];
    for (let i = at + 4; i + 8 <= stop && sizes.length < 3; i += 8)
      sizes.push(whole(directory, i, path));
    return sizes;
  }
  return [];
}

function whole(data: DataView, at: number, path: string): number {
  const value = data.getBigUint64(at, true);
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw badZip(path, `it claims ${String(value)} bytes`);
}

function view(bytes: Uint8Array<ArrayBuffer>): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function badZip(path: string, what: string, cause?: unknown): Failure {
  return new Failure('bad-file', `${path} is not a readable zip archive: ${what}.`, {
    action: 'Download or export the file again.',
    cause,
  });
}
