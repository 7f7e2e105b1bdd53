import { createHash, randomUUID } from 'node:crypto';
import {
  mkdir,
  open,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  statfs,
  writeFile,
} from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfCancelled } from '../common/cancelled.ts';
import { Failure } from '../common/failure.ts';
import { sha256 } from './fileHash.ts';
import { dropUnused, markUsed } from './unusedCaches.ts';
import { type BlockType, decodeBlocks } from './ggufBlocks.ts';

/** Where a tensor lies in a file, and how its numbers are encoded. */
export interface StoredTensor {
  readonly name: string;
  readonly type: BlockType;
  /** Row-major, the contiguous dimension last. */
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly offset: number;
}

/** A tensor to decode, under the name that the model's graph gives it. */
export interface PlannedWeight {
  readonly name: string;
  readonly tensor: StoredTensor;
  /** Row r of the result is row rowOrder[r] of the file's tensor; absent: the rows in the file's order. */
  readonly rowOrder?: Uint32Array;
  /** Consecutive rows of the file's tensor that make the weight; absent: all of them. */
  readonly rows?: { readonly first: number; readonly count: number };
  readonly file: string;
}

/** Numbers that lie in a file, little-endian and row-major, to be memory-mapped. */
export interface MappedWeight {
  /** Absent: float32. */
  readonly type?: 'float32' | 'float16' | 'bfloat16';
  readonly path: string;
  readonly offset: number;
  readonly byteLength: number;
  readonly shape: readonly number[];
}

export interface DequantiseOptions {
  readonly cacheFolder: string;
  /** The sha256 of the model's files: one cache file for each content and plan. */
  readonly hash: string;
  readonly signal?: AbortSignal | undefined;
  readonly report?: ((fraction: number) => void) | undefined;
}

/** Changes whenever the layout of the cache file does. */
const layoutVersion = 1;
const tensorAlignment = 64;
const chunkValues = 1 << 20;

/** The weights as one float32 file in the cache folder, made on first use and memory-mapped afterwards. */
export async function dequantised(
  plan: readonly PlannedWeight[],
  options: DequantiseOptions,
): Promise<ReadonlyMap<string, MappedWeight>> {
  const { places, byteLength } = layOut(plan);
  await mkdir(options.cacheFolder, { recursive: true }).catch(onDisk(options.cacheFolder));
  // onnxruntime refuses a path that leads through a symbolic link out of its folder.
  const folder = await realpath(options.cacheFolder);
  // The same content in another place has the same key.
  const content = JSON.stringify(
    [layoutVersion, options.hash, ...places],
    (name, value: unknown) => (name === 'file' ? undefined : value),
  );
  const key = sha256(content).slice(0, 32);
  const path = join(folder, `${key}.f32`);
  if (!(await isWhole(path, byteLength, options.signal))) {
    await dropUnused(folder);
    await make(path, byteLength, { places, options });
  }
  await markUsed(path);
  return new Map(places.map(place => [place.name, { path, ...place }]));
}

type Place = Omit<MappedWeight, 'path'> & PlannedWeight;

function layOut(plan: readonly PlannedWeight[]): { places: Place[]; byteLength: number } {
  let end = 0;
  const places = plan.map(weight => {
    const { tensor, rowOrder, rows } = weight;
    const count = rowOrder?.length ?? rows?.count;
    const shape = count === undefined ? tensor.shape : [count, ...tensor.shape.slice(1)];
    const offset = Math.ceil(end / tensorAlignment) * tensorAlignment;
    const byteLength = shape.reduce((product, length) => product * length, 4);
    end = offset + byteLength;
    return { ...weight, shape, offset, byteLength };
  });
  return { places, byteLength: end };
}

/** What is written beside a cache file once it is complete. */
interface CacheRecord {
  readonly byteLength: number;
  readonly modified: number;
  readonly sha256: string;
}

/** Whether the cache file is the one that was written: its size and time, or, if it was moved, its hash. */
async function isWhole(path: string, byteLength: number, signal?: AbortSignal): Promise<boolean> {
  const record = await readRecord(path);
  const status = await stat(path).catch(() => undefined);
  if (!record || !status) return false;
  if (status.size !== byteLength || record.byteLength !== byteLength) return false;
  if (status.mtimeMs === record.modified) return true;
  if ((await hashOf(path, signal)) !== record.sha256) return false;
  // Not to be hashed again next time; where that cannot be written, it is.
  await keepRecord(path, { ...record, modified: status.mtimeMs }).catch(() => undefined);
  return true;
}

async function readRecord(path: string): Promise<Partial<CacheRecord> | undefined> {
  try {
    const record: unknown = JSON.parse(await readFile(`${path}.json`, 'utf8'));
    return typeof record === 'object' && record !== null ? record : undefined;
  } catch {
    return undefined;
  }
}

async function keepRecord(path: string, record: Partial<CacheRecord>): Promise<void> {
  const draft = `${path}.json.${randomUUID()}.part`;
  await writeFile(draft, JSON.stringify(record));
  await rename(draft, `${path}.json`);
}

async function hashOf(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const handle = await open(path);
  try {
    const buffer = Buffer.alloc(chunkValues * 4);
    for (let at = 0; ;) {
      throwIfCancelled(signal);
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(buffer.subarray(0, bytesRead));
      at += bytesRead;
    }
  } finally {
    await handle.close();
  }
}

interface Work {
  readonly places: readonly Place[];
  readonly options: DequantiseOptions;
}

/** Writes under a temporary name, so that a crash or a second process never leaves a half file in place. */
async function make(path: string, byteLength: number, work: Work): Promise<void> {
  await refuseFullDisk(path, byteLength);
  const draft = `${path}.${randomUUID()}.part`;
  try {
    const hash = await writeDraft(draft, byteLength, work);
    const { mtimeMs } = await stat(draft);
    const record: CacheRecord = { byteLength, modified: mtimeMs, sha256: hash };
    await rename(draft, path);
    await keepRecord(path, record);
  } catch (error) {
    await rm(draft, { force: true });
    // Another process may have put the same file there meanwhile, and hold it open.
    if (!(await isWhole(path, byteLength))) onDisk(path)(error);
  }
}

async function refuseFullDisk(path: string, byteLength: number): Promise<void> {
  const disk = await statfs(join(path, '..')).catch(() => undefined);
  const free = disk ? disk.bavail * disk.bsize : Infinity;
  if (free < byteLength)
    throw noSpace(path, `${megabytes(byteLength)} needed, ${megabytes(free)} free`);
}

function noSpace(path: string, detail: string, cause?: unknown): Failure {
  return new Failure('no-space', `No space for the decoded weights at ${path}: ${detail}.`, {
    action: 'Free disk space, or choose another cache folder.',
    cause,
  });
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)} MB`;
}

function onDisk(path: string): (error: unknown) => never {
  return error => {
    const failure = Failure.from(error);
    if (failure === error || failure.code !== 'no-space') throw failure;
    throw noSpace(path, failure.message, error);
  };
}

async function writeDraft(draft: string, byteLength: number, work: Work): Promise<string> {
  const sources = new Map<string, FileHandle>();
  const target = await open(draft, 'wx');
  const hash = createHash('sha256');
  let end = 0;
  try {
    for (const place of work.places) {
      const padding = new Uint8Array(place.offset - end);
      await writeAll(target, padding, end);
      hash.update(padding);
      end = place.offset;
      const source = sources.get(place.file) ?? (await open(place.file));
      sources.set(place.file, source);
      for await (const values of decodedRows(source, place)) {
        throwIfCancelled(work.options.signal);
        const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
        await writeAll(target, bytes, end);
        hash.update(bytes);
        end += bytes.length;
        work.options.report?.(end / byteLength);
      }
    }
    await target.sync();
    return hash.digest('hex');
  } finally {
    for (const source of sources.values()) await source.close();
    await target.close();
  }
}

async function writeAll(target: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += (await target.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
  }
}

/** Decodes a tensor in runs of rows; the yielded array is overwritten by the next run. */
async function* decodedRows(source: FileHandle, place: Place): AsyncGenerator<Float32Array> {
  const { tensor, rowOrder, shape, file: path } = place;
  const first = place.rows?.first ?? 0;
  // Of a vector, single values are chosen.
  const width = shape.length === 1 && (rowOrder ?? place.rows) ? 1 : (shape.at(-1) ?? 1);
  const rows = shape.reduce((product, length) => product * length, 1) / width;
  const rowBytes = (width / tensor.type.blockLength) * tensor.type.blockBytes;
  const most = Math.max(1, Math.min(rows, Math.floor(chunkValues / width)));
  const bytes = new Uint8Array(most * rowBytes);
  const values = new Float32Array(most * width);
  for (let row = 0; row < rows; row += most) {
    const count = Math.min(most, rows - row);
    if (rowOrder) {
      for (let r = 0; r < count; r++) {
        const at = tensor.offset + (rowOrder[row + r] ?? 0) * rowBytes;
        await readAll(source, bytes.subarray(r * rowBytes, (r + 1) * rowBytes), at, path);
      }
    } else {
      await readAll(
        source,
        bytes.subarray(0, count * rowBytes),
        tensor.offset + (first + row) * rowBytes,
        path,
      );
    }
    const part = values.subarray(0, count * width);
    decodeBlocks(tensor.type, bytes.subarray(0, count * rowBytes), part);
    refuseNonFinite(part, tensor, path);
    yield part;
  }
}

async function readAll(
  source: FileHandle,
  to: Uint8Array,
  at: number,
  path: string,
): Promise<void> {
  for (let done = 0; done < to.length;) {
    const { bytesRead } = await source.read(to, done, to.length - done, at + done);
    if (bytesRead === 0) {
      throw new Failure(
        'bad-file',
        `${path} ended at ${at + done} while its weights were being read.`,
      );
    }
    done += bytesRead;
  }
}

function refuseNonFinite(values: Float32Array, tensor: StoredTensor, path: string): void {
  for (const value of values) {
    if (Math.abs(value) < Infinity) continue;
    throw new Failure(
      'bad-file',
      `${path}: tensor "${tensor.name}": expected finite ${tensor.type.name} weights, found ${value}.`,
      { action: 'Download the file again; it is altered.' },
    );
  }
}
