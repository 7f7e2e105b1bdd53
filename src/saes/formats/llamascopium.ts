import { join } from 'node:path';
import { Failure } from '../../common/failure.ts';
import { SafetensorsFile } from '../../weights/safetensors.ts';
import type { TensorSource } from '../../weights/tensorSource.ts';
import type { ActivationRule, Dictionary } from '../dictionary.ts';
import { assemble } from './assemble.ts';
import { requireHook } from './hookNames.ts';
import { readFields, type Fields } from './jsonFields.ts';
import { modelName } from './llamaScope.ts';
import { untold, type SaePlace } from './place.ts';
import { matrixShape, readTensor, requireKnown } from './tensors.ts';
import { foldDecoderNorm, foldInputScale, rowNorms, transpose } from './weightAlgebra.ts';

/*
 * OpenMOSS's Llamascopium (Language-Model-SAEs) and, under older names, Llama Scope R1-Distill: config.json and
 * sae_weights.safetensors. Activations are those of training: of x sqrt(D) / (mean |x|). Of top-k SAEs that choose by
 * activation times the decoder row's norm, they are that product, as in SAELens. Source: `models/sae.py`,
 * `models/sparse_dictionary.py`; SAELens `llama_scope_r1_distill_sae_huggingface_loader`.
 */
const weightsFile = 'sae_weights.safetensors';
const normPrefix = 'dataset_average_activation_norm.';

export function isLlamascopium({ names }: SaePlace): boolean {
  return names.has('config.json') && names.has(weightsFile) && !names.has('cfg.json');
}

/** Names of the tensors, now and in R1-Distill. */
interface Names {
  readonly encoder: string;
  readonly encoderBias: string;
  readonly decoder: string;
  readonly decoderBias: string;
  readonly logThreshold: string;
  /** torch's Linear: rows are outputs. */
  readonly linear: boolean;
}

const current: Names = {
  encoder: 'W_E',
  encoderBias: 'b_E',
  decoder: 'W_D',
  decoderBias: 'b_D',
  logThreshold: 'activation_function.log_jumprelu_threshold',
  linear: false,
};
const older: Names = {
  encoder: 'encoder.weight',
  encoderBias: 'encoder.bias',
  decoder: 'decoder.weight',
  decoderBias: 'decoder.bias',
  logThreshold: 'log_jumprelu_threshold',
  linear: true,
};

export async function readLlamascopium(place: SaePlace): Promise<Dictionary> {
  const config = await readFields(join(place.folder, 'config.json'));
  config.oneOf('sae_type', ['sae'], 'sae');
  if (config.flag('use_glu_encoder', false)) {
    throw new Failure('unsupported', `${config.file} has "use_glu_encoder": true.`);
  }
  const file = await SafetensorsFile.open(join(place.folder, weightsFile));
  const names = file.tensors.has(older.encoder) ? older : current;
  const [rows, columns] = matrixShape(file, names.encoder);
  const [F, D] = names.linear ? [rows, columns] : [columns, rows];
  if (config.size('d_model') !== D) throw config.bad('d_model', `${D}, as in ${names.encoder}`);
  const norms = [...file.tensors.keys()].filter(name => name.startsWith(normPrefix));
  requireKnown(file, [...tensorNames(names), ...norms]);
  const read = (name: string, shape: readonly number[]) => readTensor(file, name, shape);
  const encoder = await read(names.encoder, [rows, columns]);
  const decoder = await read(names.decoder, names.linear ? [D, F] : [F, D]);
  const hasBias = config.flag('use_decoder_bias', true) || file.tensors.has(names.decoderBias);
  const matrices = {
    encoder: names.linear ? encoder : transpose(encoder, D, F),
    encoderBias: await read(names.encoderBias, [F]),
    decoder: names.linear ? transpose(decoder, D, F) : decoder,
    decoderBias: hasBias ? await read(names.decoderBias, [D]) : new Float32Array(D),
  };
  const hook =
    place.told.hook ?? requireHook(config.json['hook_point_in'], config.file, 'hook_point_in');
  const written = config.json['hook_point_out'] ?? config.json['hook_point_in'];
  const outputHook = place.told.hookOut ?? requireHook(written, config.file, 'hook_point_out');
  const rule = await readRule(config, file, names, matrices.decoder, F);
  const byNorm = config.flag('sparsity_include_decoder_norm', true);
  if (byNorm && rule.kind === 'topk') foldDecoderNorm(matrices);
  const scales = await scalesOf(place, config, file, outputHook !== hook);
  if (scales) foldInputScale(matrices, ...scales);
  return assemble(place, {
    hook,
    width: F,
    inputWidth: D,
    ...matrices,
    subtractDecoderBias: false,
    rule,
    ...(outputHook !== hook && { output: { hook: outputHook, width: D } }),
    ...(config.json['norm_activation'] === 'token-wise' && { inputNorm: 'length' }),
    model: await modelName(place.folder),
  });
}

function tensorNames({ encoder, encoderBias, decoder, decoderBias, logThreshold }: Names) {
  return [encoder, encoderBias, decoder, decoderBias, logThreshold, older.logThreshold];
}

async function readRule(
  config: Fields,
  file: TensorSource,
  names: Names,
  decoder: Float32Array, // (F, D)
  F: number,
): Promise<ActivationRule> {
  const stored = [names.logThreshold, older.logThreshold].find(name => file.tensors.has(name));
  const missing = stored === undefined ? 'relu' : 'jumprelu';
  // batchtopk and the like choose among the tokens of a batch: which fire would depend on what else is run.
  const kind = config.oneOf('act_fn', ['jumprelu', 'relu', 'topk'], missing);
  if (kind === 'relu') return { kind };
  if (kind === 'topk') {
    const maxK = config.size('top_k');
    if (maxK > F) throw config.bad('top_k', `at most ${F}, the number of features`);
    return { kind, maxK };
  }
  const logs = await readTensor(file, stored ?? names.logThreshold, [F]);
  const threshold = logs.map(Math.exp);
  // h times the norm is held to the threshold: h to the threshold over the norm. R1-Distill has no norm in it.
  if (!names.linear && config.flag('sparsity_include_decoder_norm', true)) {
    const lengths = rowNorms(decoder, F);
    return { kind, threshold: threshold.map((t, f) => t / Math.max(lengths[f] ?? 0, 1e-30)) };
  }
  return { kind, threshold };
}

/** Scales of what is read and written; undefined where there are none. */
async function scalesOf(
  place: SaePlace,
  config: Fields,
  file: TensorSource,
  transcodes: boolean,
): Promise<[number, number] | undefined> {
  const kinds = ['dataset-wise', 'token-wise', 'inference'] as const;
  const kind = config.oneOf('norm_activation', kinds, 'dataset-wise');
  if (kind === 'inference') return undefined;
  if (kind === 'token-wise') {
    if (!transcodes) return undefined;
    throw new Failure(
      'unsupported',
      `${config.file} is of a transcoder with "norm_activation": "token-wise": its output is scaled by what it is to predict.`,
    );
  }
  const { inputScale } = place.told;
  if (inputScale !== undefined && !transcodes) return [inputScale, inputScale];
  const scale = async (key: string): Promise<number> => {
    const name = `${normPrefix}${String(config.json[key] ?? config.json['hook_point_in'])}`;
    if (!file.tensors.has(name)) {
      throw untold(place, 'the mean length of the activations', '"inputScale": 0.93');
    }
    const [norm = 0] = await readTensor(file, name, []);
    if (norm > 0) return Math.sqrt(config.size('d_model')) / norm;
    throw new Failure('bad-file', `${file.path}: ${name} is ${norm}, expected a number above 0.`);
  };
  return [await scale('hook_point_in'), await scale('hook_point_out')];
}
