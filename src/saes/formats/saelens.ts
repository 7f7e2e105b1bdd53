import { mkdir, readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { Failure } from '../../common/failure.ts';
import { float32ToFloat16 } from '../../common/float16.ts';
import { isRecord } from '../../common/record.ts';
import { writeAtomically } from '../../weights/atomicFile.ts';
import { SafetensorsFile, writeSafetensors, type Tensor } from '../../weights/safetensors.ts';
import type { Base, Dictionary, TokenPolicy } from '../dictionary.ts';
import { parseSaeLensConfig } from './saelensConfig.ts';
import { readWeights } from './saelensWeights.ts';
import { foldDecoderNorm, foldInputScale, transpose } from './weightAlgebra.ts';

/*
 * SAELens 6: a folder with cfg.json and sae_weights.safetensors (W_enc is (D, F), W_dec is (F, D)). Sources: SAELens
 * `saes/sae.py`, `saes/{standard,topk,jumprelu,gated}_sae.py`, `loading/pretrained_sae_loaders.py`.
 */
const configFile = 'cfg.json';
const weightsFile = 'sae_weights.safetensors';
const scalerFile = 'activation_scaler.json';

/** SAELens reads a configuration without a version, or with one below 6, by its older rules. */
const formatVersion = '6.0.0';

/** The SAE in a SAELens folder. */
export async function readSaeLens(folder: string): Promise<Dictionary> {
  const config = parseSaeLensConfig(
    await readText(join(folder, configFile)),
    join(folder, configFile),
  );
  const weights = await readWeights(config, await SafetensorsFile.open(join(folder, weightsFile)));
  if (config.scaledInput) foldInputScale(weights, await readInputScale(folder));
  if (config.rescaleByDecoderNorm) foldDecoderNorm(weights, config.inputWidth);
  const { loupe, model_name: modelName } = config.metadata;
  const own = isRecord(loupe) ? loupe : {};
  return {
    name: typeof own['name'] === 'string' ? own['name'] : basename(resolve(folder)),
    hook: config.hook,
    width: config.width,
    inputWidth: config.inputWidth,
    encoder: weights.encoder,
    encoderBias: weights.encoderBias,
    decoder: weights.decoder,
    // A bias of zeros is none: so a residual SAE is written, since SAELens always wants one.
    decoderBias: weights.decoderBias.some(value => value !== 0) ? weights.decoderBias : undefined,
    subtractDecoderBias: config.subtractDecoderBias,
    rule: weights.rule,
    tokenPolicy: readTokenPolicy(own['token_policy']),
    base: readBase(own['base']),
    model:
      typeof modelName === 'string'
        ? { name: modelName, hash: asText(own['model_hash']) }
        : undefined,
    provenance: Object.fromEntries(
      Object.entries(config.metadata).filter(([key]) => !dictionaryKeys.has(key)),
    ),
  };
}

/** Keys of the metadata that a Dictionary has fields for. */
const dictionaryKeys = new Set(['hook_name', 'model_name', 'sae_lens_version', 'loupe']);

/**
 * Writes `dictionary` as a SAELens folder that SAELens itself loads. `dtype` is how the two matrices are stored; they
 * are used in float32 either way. Provenance goes into `metadata` under its own keys (SAELens' names where it has
 * one: `context_size` is the training window's length, `training_architecture` the objective).
 */
export async function writeSaeLens(
  dictionary: Dictionary,
  folder: string,
  dtype: 'F16' | 'F32' = 'F32',
): Promise<void> {
  const { width, inputWidth, rule } = dictionary;
  const matrix = (data: Float32Array, shape: readonly number[]): Tensor =>
    dtype === 'F32' ? { dtype, shape, data } : { dtype, shape, data: toFloat16(data) };
  const perFeature = (data: Float32Array): Tensor => ({ dtype: 'F32', shape: [width], data });
  const tensors: Record<string, Tensor> = {
    W_enc: matrix(transpose(dictionary.encoder, width, inputWidth), [inputWidth, width]),
    W_dec: matrix(dictionary.decoder, [width, inputWidth]),
    b_dec: {
      dtype: 'F32',
      shape: [inputWidth],
      data: dictionary.decoderBias ?? new Float32Array(inputWidth),
    },
    [rule.kind === 'gated' ? 'b_gate' : 'b_enc']: perFeature(dictionary.encoderBias),
  };
  if (rule.kind === 'jumprelu') tensors['threshold'] = perFeature(rule.threshold);
  if (rule.kind === 'gated') {
    tensors['r_mag'] = perFeature(rule.rMag);
    tensors['b_mag'] = perFeature(rule.bMag);
  }
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, weightsFile), tensors);
  const json = `${JSON.stringify(describe(dictionary), null, 2)}\n`;
  await writeAtomically(join(folder, configFile), [new TextEncoder().encode(json)]);
}

/** The cfg.json of a dictionary. */
function describe(dictionary: Dictionary): object {
  const { rule, tokenPolicy, model } = dictionary;
  return {
    architecture: rule.kind === 'relu' ? 'standard' : rule.kind,
    d_in: dictionary.inputWidth,
    d_sae: dictionary.width,
    ...(rule.kind === 'topk' ? { k: rule.maxK, rescale_acts_by_decoder_norm: false } : {}),
    // In SAELens the type to compute in, whatever type the file stores.
    dtype: 'float32',
    device: 'cpu',
    apply_b_dec_to_input: dictionary.subtractDecoderBias,
    normalize_activations: 'none',
    reshape_activations: 'none',
    metadata: {
      ...dictionary.provenance,
      sae_lens_version: formatVersion,
      model_name: model?.name,
      hook_name: dictionary.hook,
      loupe: {
        name: dictionary.name,
        token_policy: {
          exclude_first: tokenPolicy.excludeFirst,
          max_norm: Number.isFinite(tokenPolicy.maxNorm) ? tokenPolicy.maxNorm : null,
        },
        model_hash: model?.hash,
        // Of a residual SAE: it says nothing by itself, only added to this one.
        base: dictionary.base,
      },
    },
  };
}

/** The constant that the input was scaled by in training, where a checkpoint stored it. */
async function readInputScale(folder: string): Promise<number> {
  const path = join(folder, scalerFile);
  const found = await stat(path).catch(() => undefined);
  if (!found) {
    throw new Failure(
      'unsupported',
      `${join(folder, configFile)} has "normalize_activations": "expected_average_only_in", but the scale is not stored: there is no ${scalerFile}.`,
      {
        action:
          'Fold the scale into the weights with SAELens (fold_activation_norm_scaling_factor) and save again.',
      },
    );
  }
  const scaler = parseJson(await readText(path), path);
  const scale = isRecord(scaler) ? scaler['scaling_factor'] : undefined;
  if (typeof scale === 'number' && Number.isFinite(scale) && scale > 0) return scale;
  throw new Failure('bad-file', `${path} has no scaling_factor above 0.`);
}

function readTokenPolicy(value: unknown): TokenPolicy {
  const policy = isRecord(value) ? value : {};
  const maxNorm = policy['max_norm'];
  return {
    excludeFirst: policy['exclude_first'] !== false,
    maxNorm: typeof maxNorm === 'number' && maxNorm > 0 ? maxNorm : Infinity,
  };
}

function readBase(value: unknown): Base | undefined {
  if (!isRecord(value)) return undefined;
  const { name, hash, k } = value;
  if (typeof name !== 'string' || typeof hash !== 'string') return undefined;
  return { name, hash, k: typeof k === 'number' && k > 0 ? k : null };
}

const maxConfigLength = 16_000_000;

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > maxConfigLength)
      throw new Failure(
        'too-large',
        `${path} has ${String(size)} bytes; that is no SAE's configuration.`,
      );
    return await readFile(path, 'utf8');
  } catch (error) {
    const failure = Failure.from(error);
    if (failure.code === 'not-found')
      throw new Failure('not-found', `There is no ${path}.`, { cause: error });
    throw failure.code === 'internal'
      ? new Failure('bad-file', `${path} cannot be read.`, { cause: error })
      : failure;
  }
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Failure('bad-file', `${path} is not JSON.`, { cause });
  }
}

function toFloat16(values: Float32Array): Uint16Array {
  if (values.some(value => Math.abs(value) >= 65520)) {
    throw new Failure(
      'unsupported',
      'A weight of the SAE is beyond 65,504 and cannot be stored in float16.',
    );
  }
  return float32ToFloat16(values);
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
