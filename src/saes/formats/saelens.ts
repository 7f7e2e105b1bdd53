import { mkdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { Failure } from '../../common/failure.ts';
import { float32ToFloat16 } from '../../common/float16.ts';
import { isRecord, parseRecord } from '../../common/record.ts';
import { writeAtomically } from '../../weights/atomicFile.ts';
import { SafetensorsFile, writeSafetensors, type Tensor } from '../../weights/safetensors.ts';
import { outputWidthOf, type Base, type Dictionary, type TokenPolicy } from '../dictionary.ts';
import { readConfigText } from './jsonFields.ts';
import { openPlace, type SaePlace, type Told } from './place.ts';
import { parseSaeLensConfig, type SaeLensConfig } from './saelensConfig.ts';
import { readWeights, type SaeLensWeights } from './saelensWeights.ts';
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

/** Whether the place is a SAELens folder; its weights may yet be missing. */
export function isSaeLens({ names }: SaePlace): boolean {
  return names.has(configFile) && !names.has('sae.safetensors');
}

/** The SAE in a SAELens folder. */
export async function readSaeLens(folder: string): Promise<Dictionary> {
  return await readSaeLensAt(await openPlace(folder));
}

export async function readSaeLensAt({ folder, path, told }: SaePlace): Promise<Dictionary> {
  const config = parseSaeLensConfig(
    await readConfigText(join(folder, configFile)),
    join(folder, configFile),
    told,
  );
  const weights = await readWeights(config, await SafetensorsFile.open(join(folder, weightsFile)));
  if (config.scaledInput) {
    foldInputScale(weights, told.inputScale ?? (await readInputScale(folder)));
  }
  if (config.rescaleByDecoderNorm) foldDecoderNorm(weights);
  const { loupe } = config.metadata;
  const own = isRecord(loupe) ? loupe : {};
  const modelName = told.model ?? asText(config.metadata['model_name']);
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
    ...extras(config, weights, told, path),
    tokenPolicy: readTokenPolicy(own['token_policy']),
    base: readBase(own['base']),
    model:
      modelName === undefined ? undefined : { name: modelName, hash: asText(own['model_hash']) },
    provenance: Object.fromEntries(
      Object.entries(config.metadata).filter(([key]) => !dictionaryKeys.has(key)),
    ),
  };
}

/** What most SAEs have nothing of. */
function extras(
  { output, inputNorm, centred }: SaeLensConfig,
  { skip }: SaeLensWeights,
  told: Told,
  path: string,
): Pick<Dictionary, 'output' | 'skip' | 'inputNorm' | 'centred'> {
  return {
    ...(output && { output }),
    ...(skip && { skip }),
    ...(inputNorm && { inputNorm }),
    ...((told.centred ?? (centred || trainedCentred.test(path))) && { centred: true }),
  };
}

/** Published SAEs whose files do not say that they were trained on a centred GPT-2 (SAELens `pretrained_saes.yaml`). */
const trainedCentred =
  /GPT2-Small-SAEs-Reformatted|GPT2-Small-Feature-Splitting-Experiment|gpt2-small-mlp-out-saes/;

/** Keys of the metadata that a Dictionary has fields for. */
const dictionaryKeys = new Set([
  'hook_name',
  'hook_name_out',
  'model_name',
  'sae_lens_version',
  'loupe',
]);

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
  const { width, inputWidth, rule, skip } = dictionary;
  const outputWidth = outputWidthOf(dictionary);
  const architecture = architectureOf(dictionary);
  const matrix = (data: Float32Array, shape: readonly number[]): Tensor =>
    dtype === 'F32' ? { dtype, shape, data } : { dtype, shape, data: toFloat16(data) };
  const perFeature = (data: Float32Array): Tensor => ({ dtype: 'F32', shape: [width], data });
  const tensors: Record<string, Tensor> = {
    W_enc: matrix(transpose(dictionary.encoder, width, inputWidth), [inputWidth, width]),
    W_dec: matrix(dictionary.decoder, [width, outputWidth]),
    b_dec: {
      dtype: 'F32',
      shape: [outputWidth],
      data: dictionary.decoderBias ?? new Float32Array(outputWidth),
    },
    [rule.kind === 'gated' ? 'b_gate' : 'b_enc']: perFeature(dictionary.encoderBias),
  };
  if (rule.kind === 'jumprelu') tensors['threshold'] = perFeature(rule.threshold);
  if (rule.kind === 'gated') {
    tensors['r_mag'] = perFeature(rule.rMag);
    tensors['b_mag'] = perFeature(rule.bMag);
  }
  if (skip) tensors['W_skip'] = matrix(skip, [outputWidth, inputWidth]);
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, weightsFile), tensors);
  const json = `${JSON.stringify(describe(dictionary, architecture), null, 2)}\n`;
  await writeAtomically(join(folder, configFile), [new TextEncoder().encode(json)]);
}

const normalisationNames = { layer: 'layer_norm', length: 'constant_norm_rescale' } as const;

/** SAELens' name of what the dictionary is; fails with `unsupported` where it has none. */
function architectureOf({ rule, output, skip }: Dictionary): string {
  if (output && (rule.kind === 'relu' || rule.kind === 'jumprelu')) {
    return `${rule.kind === 'jumprelu' ? 'jumprelu_' : ''}${skip ? 'skip_' : ''}transcoder`;
  }
  if (output || skip || rule.kind === 'groupmax') {
    const what = `${rule.kind}${output ? ' transcoder' : ''}${skip ? ' with a skip connection' : ''}`;
    throw new Failure(
      'unsupported',
      `SAELens has no ${what}; it has relu, topk, jumprelu and gated SAEs, and relu and jumprelu transcoders.`,
    );
  }
  return rule.kind === 'relu' ? 'standard' : rule.kind;
}

/** The cfg.json of a dictionary. */
function describe(dictionary: Dictionary, architecture: string): object {
  const { rule, tokenPolicy, model, output } = dictionary;
  return {
    architecture,
    d_in: dictionary.inputWidth,
    ...(output && { d_out: output.width }),
    d_sae: dictionary.width,
    ...(rule.kind === 'topk' ? { k: rule.maxK, rescale_acts_by_decoder_norm: false } : {}),
    // In SAELens the type to compute in, whatever type the file stores.
    dtype: 'float32',
    device: 'cpu',
    apply_b_dec_to_input: dictionary.subtractDecoderBias,
    normalize_activations:
      dictionary.inputNorm === undefined ? 'none' : normalisationNames[dictionary.inputNorm],
    reshape_activations: dictionary.hook.endsWith('hook_z') && !output ? 'hook_z' : 'none',
    metadata: {
      ...dictionary.provenance,
      sae_lens_version: formatVersion,
      model_name: model?.name,
      hook_name: dictionary.hook,
      ...(output && { hook_name_out: output.hook }),
      ...(dictionary.centred && {
        model_from_pretrained_kwargs: { center_writing_weights: true },
      }),
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
          'Fold the scale into the weights with SAELens (fold_activation_norm_scaling_factor) and save again, or write it into a file loupe.json beside it, as {"inputScale": 0.35}.',
      },
    );
  }
  const { scaling_factor: scale } = parseRecord(await readConfigText(path), path);
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
