import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Failure } from '../common/failure.ts';
import { float32ToFloat16 } from '../common/float16.ts';
import {
  SafetensorsFile,
  toFloat32,
  writeSafetensors,
  type Tensor,
} from '../weights/safetensors.ts';

export const histogramBins = 20; // B
export const topTokenCount = 8; // N
export const tellingTokenCount = 4; // M
export const exampleCount = 6; // E
export const exampleLength = 21; // W
export const promotedCount = 8; // P

/** What was measured of every feature of an SAE (F), as `loupe describe` writes it into features.safetensors. */
export interface FeatureTable {
  /** Fraction of counted tokens on which the feature is active at maxK, (F). */
  readonly density: Float32Array;
  readonly maxActivation: Float32Array; // (F)
  /** Counts of nonzero activations in equal bins from 0 to maxActivation, (F, B). */
  readonly histogram: Uint32Array;
  /** Tokens by their share of the feature's summed activation, (F, N); padding has share 0. */
  readonly topTokens: Uint32Array;
  readonly topTokenShares: Float32Array; // (F, N)
  /** Mean activation on those tokens, where active, (F, N). */
  readonly topTokenMeans: Float32Array;
  /** Tokens that tell the feature from others, most telling first, (F, M); padding has the weight 0. */
  readonly tellingTokens: Uint32Array;
  /** share * ln(share / frequency of the token in the text), (F, M). */
  readonly tellingWeights: Float32Array;
  /** Tokens of the examples, strongest example first, (F, E, W). */
  readonly exampleTokens: Uint32Array;
  readonly exampleActivations: Float32Array; // (F, E, W)
  /** Tokens in each example, 0 where there is none, (F, E). */
  readonly exampleLengths: Uint8Array;
  /** Index into `about.sources`, (F, E). */
  readonly exampleSources: Uint8Array;
  /** Tokens whose logit the decoder row raises most, strongest first, (F, P). */
  readonly promoted: Uint32Array;
  readonly promotedLogits: Float32Array; // (F, P)
  readonly suppressed: Uint32Array; // (F, P)
  readonly suppressedLogits: Float32Array; // (F, P)
  readonly about: FeatureTableOrigin;
}

/** Where a table's numbers come from. */
export interface FeatureTableOrigin {
  readonly sources: readonly string[];
  /** How everything was measured, one sentence. */
  readonly convention: string;
  readonly model: string;
}

/** The table's file, beside the SAE's. */
export const featureTableFile = 'features.safetensors';
const format = 'loupe-features-1';

/** How each field is stored: its type and its shape behind F. */
const layout = {
  density: ['F32', []],
  maxActivation: ['F32', []],
  histogram: ['U32', [histogramBins]],
  topTokens: ['id', [topTokenCount]],
  topTokenShares: ['F16', [topTokenCount]],
  topTokenMeans: ['F16', [topTokenCount]],
  tellingTokens: ['id', [tellingTokenCount]],
  tellingWeights: ['F16', [tellingTokenCount]],
  exampleTokens: ['id', [exampleCount, exampleLength]],
  exampleActivations: ['F16', [exampleCount, exampleLength]],
  exampleLengths: ['U8', [exampleCount]],
  exampleSources: ['U8', [exampleCount]],
  promoted: ['id', [promotedCount]],
  promotedLogits: ['F16', [promotedCount]],
  suppressed: ['id', [promotedCount]],
  suppressedLogits: ['F16', [promotedCount]],
} as const satisfies Record<
  Exclude<keyof FeatureTable, 'about'>,
  readonly [string, readonly number[]]
>;

type Field = keyof typeof layout;
const fields = Object.keys(layout) as Field[];

/** Writes the table beside the SAE in `folder`, whose weights it is bound to by their hash. */
export async function writeFeatureTable(folder: string, table: FeatureTable): Promise<void> {
  const features = table.density.length;
  const tensors: Record<string, Tensor> = {};
  for (const field of fields) {
    const [type, rest] = layout[field];
    tensors[field] = stored(type, [features, ...rest], table[field]);
  }
  const { sources, convention, model } = table.about;
  await writeSafetensors(join(folder, featureTableFile), tensors, {
    format,
    sae_weights_sha256: await hashOfWeights(folder),
    model,
    sources: JSON.stringify(sources),
    convention,
  });
}

/** The table beside the SAE in `folder`; undefined where none was made. */
export async function readFeatureTable(
  folder: string,
  features: number,
): Promise<FeatureTable | undefined> {
  const path = join(folder, featureTableFile);
  if (!(await stat(path).catch(() => undefined))) return undefined;
  const file = await SafetensorsFile.open(path);
  if (file.metadata.get('format') !== format) {
    throw new Failure(
      'unsupported',
      `${path} has the format "${file.metadata.get('format') ?? 'none'}", expected "${format}".`,
    );
  }
  if (file.metadata.get('sae_weights_sha256') !== (await hashOfWeights(folder))) {
    throw new Failure('mismatch', `${path} describes other weights than those beside it.`, remake);
  }
  const table: Partial<Record<Field, unknown>> = {};
  for (const field of fields) table[field] = await readField(file, field, features);
  const sources = parseSources(file.metadata.get('sources'), path);
  return {
    ...(table as Omit<FeatureTable, 'about'>),
    about: {
      sources,
      convention: file.metadata.get('convention') ?? '',
      model: file.metadata.get('model') ?? '',
    },
  };
}

const remake = { action: 'Make the cards again with `loupe describe`.' };

async function readField(file: SafetensorsFile, field: Field, features: number): Promise<unknown> {
  const [type, rest] = layout[field];
  const shape = [features, ...rest];
  const found = file.tensors.get(field);
  const types = type === 'id' ? ['U16', 'U32'] : [type];
  if (found?.shape.join() !== shape.join() || !types.includes(found.dtype)) {
    const is = found ? `${found.dtype} [${found.shape.join(', ')}]` : 'missing';
    throw new Failure(
      'bad-file',
      `${file.path}: tensor ${field} is ${is}, expected ${types.join(' or ')} [${shape.join(', ')}].`,
      remake,
    );
  }
  const tensor = await file.read(field);
  if (type === 'id') return Uint32Array.from(tensor.data as Uint16Array);
  const values = toFloat32(tensor);
  if (values?.some(value => !Number.isFinite(value))) {
    throw new Failure(
      'bad-file',
      `${file.path}: tensor ${field} has numbers that are not finite.`,
      remake,
    );
  }
  return values ?? tensor.data;
}

/** A field as it is stored: token ids in 16 bits where they all fit. */
function stored(type: string, shape: readonly number[], data: FeatureTable[Field]): Tensor {
  if (data instanceof Float32Array) {
    return type === 'F16'
      ? { dtype: 'F16', shape, data: float32ToFloat16(data.map(toRange)) }
      : { dtype: 'F32', shape, data };
  }
  if (data instanceof Uint8Array) return { dtype: 'U8', shape, data };
  const isShort = type === 'id' && data.every(id => id < 65536);
  return isShort
    ? { dtype: 'U16', shape, data: Uint16Array.from(data) }
    : { dtype: 'U32', shape, data };
}

/** The range of float16. */
function toRange(value: number): number {
  return Math.min(Math.max(value, -65504), 65504);
}

function parseSources(json: string | undefined, path: string): readonly string[] {
  try {
    const sources: unknown = JSON.parse(json ?? '');
    if (Array.isArray(sources) && sources.every(source => typeof source === 'string'))
      return sources;
  } catch {
    // Said below.
  }
  throw new Failure('bad-file', `${path} does not say where its text comes from.`, remake);
}

async function hashOfWeights(folder: string): Promise<string> {
  const path = join(folder, 'sae_weights.safetensors');
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(path), hash);
  } catch (cause) {
    throw new Failure(Failure.from(cause).code, `${path} cannot be read.`, { cause });
  }
  return hash.digest('hex');
}
