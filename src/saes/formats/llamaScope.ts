import { basename, dirname, join } from 'node:path';
import { readdir } from 'node:fs/promises';
import { Failure } from '../../common/failure.ts';
import { SafetensorsFile } from '../../weights/safetensors.ts';
import type { ActivationRule, Dictionary } from '../dictionary.ts';
import { assemble } from './assemble.ts';
import { requireHook } from './hookNames.ts';
import { readFields, type Fields } from './jsonFields.ts';
import type { SaePlace } from './place.ts';
import { readTensor, requireKnown } from './tensors.ts';
import { foldInputScale, transpose } from './weightAlgebra.ts';

/*
 * Llama Scope (arXiv 2410.20526), the first version: hyperparams.json, lm_config.json and checkpoints/final.safetensors
 * (encoder.weight (F, D), decoder.weight (O, F)). Trained on activations of mean length sqrt(D); the threshold, one for
 * all features, is on the scale of the activations themselves. Source: SAELens `llama_scope_sae_huggingface_loader`.
 */
const configFile = 'hyperparams.json';

/** Whether the place is a Llama Scope folder, or its checkpoint. */
export async function isLlamaScope(place: SaePlace): Promise<boolean> {
  return (await rootOf(place)) !== undefined;
}

/** The folder with hyperparams.json: the place's, or above its checkpoint. */
async function rootOf({ folder, names }: SaePlace): Promise<string | undefined> {
  if (names.has(configFile)) return folder;
  if (!names.has('final.safetensors')) return undefined;
  const above: readonly string[] = await readdir(dirname(folder)).catch(() => []);
  return above.includes(configFile) ? dirname(folder) : undefined;
}

export async function readLlamaScope(place: SaePlace): Promise<Dictionary> {
  const root = (await rootOf(place)) ?? place.folder;
  const config = await readFields(join(root, configFile));
  const D = config.size('d_model');
  const F = config.size('d_sae');
  if (config.flag('use_glu_encoder', false)) {
    throw new Failure('unsupported', `${config.file} has "use_glu_encoder": true.`);
  }
  const norms = config.inner('dataset_average_activation_norm');
  const byDataset = config.oneOf('norm_activation', ['dataset-wise', 'inference'], 'dataset-wise');
  const scaleOf = (end: string) =>
    byDataset === 'inference' ? 1 : Math.sqrt(D) / norms.positive(end);
  const scale = scaleOf('in');
  const [reads, writes] = ['hook_point_in', 'hook_point_out'].map(key => config.json[key]);
  const hook = place.told.hook ?? requireHook(reads, config.file, 'hook_point_in');
  const outputHook =
    place.told.hookOut ?? requireHook(writes ?? reads, config.file, 'hook_point_out');
  const path = join(root, 'checkpoints', 'final.safetensors');
  const file = await SafetensorsFile.open(path);
  const hasBias = config.flag('use_decoder_bias', true);
  requireKnown(file, ['encoder.weight', 'encoder.bias', 'decoder.weight', 'decoder.bias']);
  const read = (name: string, shape: readonly number[]) => readTensor(file, name, shape);
  const matrices = {
    encoder: await read('encoder.weight', [F, D]),
    decoder: transpose(await read('decoder.weight', [D, F]), D, F),
    decoderBias: hasBias ? await read('decoder.bias', [D]) : new Float32Array(D),
  };
  foldInputScale(matrices, scale, outputHook === hook ? scale : scaleOf('out'));
  return assemble(place, {
    name: basename(root),
    hook,
    width: F,
    inputWidth: D,
    ...matrices,
    encoderBias: await read('encoder.bias', [F]),
    subtractDecoderBias: config.flag('apply_decoder_bias_to_pre_encoder', false),
    rule: ruleOf(config, F, scale),
    ...(outputHook !== hook && { output: { hook: outputHook, width: D } }),
    model: await modelName(root),
    provenance: { context_size: 1024 },
  });
}

function ruleOf(config: Fields, F: number, scale: number): ActivationRule {
  const kind = config.oneOf('act_fn', ['jumprelu', 'relu', 'topk'], 'jumprelu');
  if (kind === 'relu') return { kind };
  if (kind === 'topk') {
    const maxK = config.size('top_k');
    if (maxK > F) throw config.bad('top_k', `at most d_sae, ${F}`);
    return { kind, maxK };
  }
  const threshold = config.json['jump_relu_threshold'];
  if (typeof threshold !== 'number' || !Number.isFinite(threshold)) {
    throw config.bad('jump_relu_threshold', 'a number');
  }
  return { kind, threshold: new Float32Array(F).fill(Math.max(0, threshold * scale)) };
}

/** As the configuration of the language model beside it says. */
export async function modelName(folder: string): Promise<string | undefined> {
  const config = await readFields(join(folder, 'lm_config.json')).catch(() => undefined);
  return config?.optionalText('model_name');
}
