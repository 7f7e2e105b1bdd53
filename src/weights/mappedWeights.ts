import { mkdir, open, readFile, realpath, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfCancelled } from '../common/cancelled.ts';
import { Failure } from '../common/failure.ts';
import {
  type DequantiseOptions,
  dequantised,
  type MappedWeight,
  type PlannedWeight,
} from './dequantised.ts';
import { sha256 } from './fileHash.ts';

export interface MapOptions extends DequantiseOptions {
  /** Whether a file, by its real path, can be mapped where it lies. */
  canMap(path: string): boolean;
}

const storedTypes = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' } as const;
const bytesOf = { float32: 4, float16: 2, bfloat16: 2 } as const;

/**
 * Where each weight of the plan lies: in the model's own files if they hold it as the graph reads it, so that nothing is
 * copied, else in one float32 file in the cache folder. Weights that are mapped are looked through once for numbers that
 * are not finite.
 */
export async function mappedWeights(
  plan: readonly PlannedWeight[],
  options: MapOptions,
): Promise<ReadonlyMap<string, MappedWeight>> {
  const inPlace = new Map<string, InPlace>();
  for (const weight of plan) {
    const mapped = await placeOf(weight, options);
    if (mapped) inPlace.set(weight.name, mapped);
  }
  const others = plan.filter(({ name }) => !inPlace.has(name));
  const looked = inPlace.size / Math.max(1, plan.length);
  const report = (from: number, to: number) => (fraction: number) =>
    options.report?.(from + fraction * (to - from));
  await refuseNonFinite([...inPlace.values()], { ...options, report: report(0, looked) });
  if (others.length === 0) return inPlace;
  const decoded = await dequantised(others, { ...options, report: report(looked, 1) });
  return new Map([...inPlace, ...decoded]);
}

interface InPlace extends MappedWeight {
  readonly type: (typeof storedTypes)[keyof typeof storedTypes];
  readonly tensorName: string;
}

async function placeOf(weight: PlannedWeight, options: MapOptions): Promise<InPlace | undefined> {
  const { tensor, rows, rowOrder, file } = weight;
  const { name } = tensor.type;
  if (rowOrder || !(name === 'F32' || name === 'F16' || name === 'BF16')) return undefined;
  const path = await realpath(file);
  if (!options.canMap(path)) return undefined;
  const type = storedTypes[name];
  const [length = 1, ...others] = tensor.shape;
  const rowBytes = others.reduce((product, size) => product * size, bytesOf[type]);
  const { first, count } = rows ?? { first: 0, count: length };
  return {
    path,
    type,
    tensorName: tensor.name,
    offset: tensor.offset + first * rowBytes,
    byteLength: count * rowBytes,
    shape: tensor.shape.length === 0 ? [] : [count, ...others],
  };
}

/** Read in pieces of this many bytes, a multiple of 4. */
const piece = 1 << 22;

async function refuseNonFinite(weights: readonly InPlace[], options: MapOptions): Promise<void> {
  const key = sha256(
    JSON.stringify([options.hash, weights.map(({ tensorName, offset }) => [tensorName, offset])]),
  );
  const record = join(options.cacheFolder, 'finite', key);
  if ((await readFile(record, 'utf8').catch(() => '')) === 'finite') return;
  const total = weights.reduce((sum, { byteLength }) => sum + byteLength, 0);
  let done = 0;
  for (const weight of weights) {
    await refuseNonFiniteOf(weight, options.signal);
    done += weight.byteLength;
    options.report?.(done / total);
  }
  await keep(record);
}

async function refuseNonFiniteOf(weight: InPlace, signal: AbortSignal | undefined): Promise<void> {
  const { path, offset, byteLength, type, tensorName } = weight;
  const file = await open(path);
  const buffer = new Uint8Array(Math.min(piece, byteLength));
  try {
    for (let at = 0; at < byteLength; at += piece) {
      throwIfCancelled(signal);
      const length = Math.min(piece, byteLength - at);
      const { bytesRead } = await file.read(buffer, 0, length, offset + at);
      if (bytesRead === length && isFinite(buffer.subarray(0, length), type)) continue;
      const found =
        bytesRead < length ? 'the end of the file' : 'one that is infinite or none at all';
      throw new Failure(
        'bad-file',
        `${path}: tensor "${tensorName}": expected finite ${type} numbers, found ${found}.`,
        { action: 'Download the file again; it is altered.' },
      );
    }
  } finally {
    await file.close();
  }
}

/** Infinities and NaN are the numbers with every bit of the exponent set. */
function isFinite(bytes: Uint8Array<ArrayBuffer>, type: InPlace['type']): boolean {
  if (type === 'float32') {
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    for (const word of words) if ((word & 0x7f800000) === 0x7f800000) return false;
    return true;
  }
  const exponent = type === 'float16' ? 0x7c00 : 0x7f80;
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  for (const half of halves) if ((half & exponent) === exponent) return false;
  return true;
}

/** What could not be kept is looked at again next time: that is no failure. */
async function keep(record: string): Promise<void> {
  try {
    await mkdir(join(record, '..'), { recursive: true });
    await writeFile(`${record}.${process.pid}`, 'finite');
    await rename(`${record}.${process.pid}`, record);
  } catch {
    return;
  }
}
