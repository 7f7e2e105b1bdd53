import { mkdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Failure } from '../../common/failure.ts';
import { writeAtomically } from '../../weights/atomicFile.ts';
import { SafetensorsFile, writeSafetensors, type Tensor } from '../../weights/safetensors.ts';
import type { ActivationRule, Dictionary } from '../dictionary.ts';
import { requirePlain } from '../plain.ts';
import { assemble } from './assemble.ts';
import { readFields, type Fields } from './jsonFields.ts';
import { untold, type SaePlace } from './place.ts';
import { hooksOfModule, type SparsifyHooks } from './sparsifyHooks.ts';
import { matrixShape, readTensor, requireKnown } from './tensors.ts';

/*
 * EleutherAI's sparsify: a folder named after the module, with cfg.json and sae.safetensors (encoder.weight (F, D), W_dec
 * (F, D)); the run's config.json one or two folders up. Source: sparsify `sparse_coder.py`, `fused_encoder.py`.
 */
const weightsFile = 'sae.safetensors';
const configFile = 'cfg.json';

/** Whether the place is one hook's folder of a sparsify run. */
export function isSparsify({ names }: SaePlace): boolean {
  return names.has(weightsFile);
}

export async function readSparsify(place: SaePlace): Promise<Dictionary> {
  const config = await readFields(join(place.folder, configFile));
  const file = await SafetensorsFile.open(join(place.folder, weightsFile));
  const [F, D] = matrixShape(file, 'encoder.weight');
  requireSizes(config, F, D);
  if (!file.tensors.has('W_dec')) {
    throw new Failure('unsupported', `${file.path} has no W_dec: an encoder by itself.`);
  }
  requireKnown(file, ['encoder.weight', 'encoder.bias', 'W_dec', 'b_dec', 'W_skip']);
  const read = (name: string, shape: readonly number[]) => readTensor(file, name, shape);
  const transcode = config.flag('transcode', false);
  const skips = config.flag('skip_connection', false);
  const run = await runConfig(place);
  const model = run?.optionalText('model');
  const { hook, output } = hooksAt(place, transcode, model);
  const contextLength = run?.json['ctx_len'];
  return assemble(place, {
    ...(/^seed\d+$/.test(basename(place.folder)) && { name: moduleName(place) }),
    hook,
    width: F,
    inputWidth: D,
    encoder: await read('encoder.weight', [F, D]),
    encoderBias: await read('encoder.bias', [F]),
    decoder: await read('W_dec', [F, D]),
    decoderBias: await read('b_dec', [D]),
    subtractDecoderBias: !transcode,
    rule: ruleOf(config, F),
    ...(output && { output: { hook: output, width: D } }),
    ...(skips && { skip: await read('W_skip', [D, D]) }),
    model,
    provenance: typeof contextLength === 'number' ? { context_size: contextLength } : {},
  });
}

function ruleOf(config: Fields, F: number): ActivationRule {
  const k = config.size('k');
  if (config.flag('signed', false)) {
    throw new Failure(
      'unsupported',
      `${config.file} has "signed": true: features may be negative.`,
    );
  }
  const activation = config.oneOf('activation', ['topk', 'groupmax'], 'topk');
  if (k > F) throw config.bad('k', `at most ${F}, the number of features`);
  if (activation === 'topk') return { kind: 'topk', maxK: k };
  if (F % k !== 0) throw config.bad('k', `a divisor of ${F}, the number of features`);
  return { kind: 'groupmax', groups: k };
}

function requireSizes(config: Fields, F: number, D: number): void {
  const width = config.size('d_in');
  if (width !== D) throw config.bad('d_in', `${D}, the columns of encoder.weight`);
  const { num_latents: latents, expansion_factor: factor } = config.json;
  const features = latents === 0 || latents === undefined ? Number(factor) * D : latents;
  if (features !== F) throw config.bad('num_latents', `${F}, the rows of encoder.weight`);
}

function hooksAt(place: SaePlace, transcode: boolean, model: string | undefined): SparsifyHooks {
  const { told } = place;
  const name = moduleName(place);
  const found = told.hook ? undefined : hooksOfModule(name, transcode, model);
  const hook = told.hook ?? found?.hook;
  const output = transcode ? (told.hookOut ?? found?.output) : undefined;
  if (hook && (output || !transcode)) return { hook, ...(output && { output }) };
  const example = transcode
    ? '"hook": "blocks.12.mlp.hook_in", "hookOut": "blocks.12.hook_mlp_out"'
    : '"hook": "blocks.12.hook_resid_post"';
  throw untold(place, 'which module it is of', example);
}

/** The folder has the module's name, or a folder below it has the seed's. */
function moduleName({ folder }: SaePlace): string {
  const name = basename(folder);
  return /^seed\d+$/.test(name) ? basename(dirname(folder)) : name;
}

/** The run's own configuration, where the run is whole. */
async function runConfig({ folder }: SaePlace): Promise<Fields | undefined> {
  for (const above of [dirname(folder), dirname(dirname(folder))]) {
    const found = await readFields(join(above, 'config.json')).catch(() => undefined);
    if (found && typeof found.json['model'] === 'string') return found;
  }
  return undefined;
}

/**
 * Writes `dictionary` as a sparsify folder, within `folder` and named after its module: the folder's path. It holds top-k
 * SAEs of residual and branch outputs that read x less their decoder's bias or have none; `unsupported` for others.
 */
export async function writeSparsify(dictionary: Dictionary, folder: string): Promise<string> {
  const { rule, width: F, inputWidth: D, hook } = dictionary;
  const refuse = (why: string) =>
    new Failure(
      'unsupported',
      `The SAE ${dictionary.name} cannot be written for sparsify: ${why}.`,
      { action: 'sparsify holds top-k SAEs; write others with --format saelens.' },
    );
  if (rule.kind !== 'topk') throw refuse(`it is a ${rule.kind} SAE, and sparsify has topk only`);
  requirePlain(dictionary, 'be written for sparsify');
  const module = moduleOfHook(hook);
  if (module === undefined) throw refuse(`no module gives ${hook}`);
  const out = join(folder, module);
  await mkdir(out, { recursive: true });
  const tensor = (data: Float32Array, shape: readonly number[]): Tensor => ({
    dtype: 'F32',
    shape,
    data,
  });
  await writeSafetensors(join(out, weightsFile), {
    'encoder.weight': tensor(dictionary.encoder, [F, D]),
    'encoder.bias': tensor(unsubtractedBias(dictionary), [F]),
    W_dec: tensor(dictionary.decoder, [F, D]),
    b_dec: tensor(dictionary.decoderBias ?? new Float32Array(D), [D]),
  });
  const config = {
    activation: 'topk',
    expansion_factor: Math.max(1, Math.floor(F / D)),
    normalize_decoder: false,
    num_latents: F,
    k: rule.maxK,
    multi_topk: false,
    skip_connection: false,
    transcode: false,
    d_in: D,
  };
  const json = (value: unknown) => [
    new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`),
  ];
  await writeAtomically(join(out, configFile), json(config));
  await writeAtomically(join(folder, 'config.json'), json(describeRun(dictionary, config, module)));
  return out;
}

function describeRun({ model, provenance }: Dictionary, sae: object, module: string): object {
  const { context_size: contextLength } = provenance;
  return {
    sae,
    hookpoints: [module],
    ...(model && { model: model.name }),
    ...(typeof contextLength === 'number' && { ctx_len: contextLength }),
  };
}

/** Of an SAE that reads x itself: sparsify's reads x - b_dec, so that W b_dec is added. */
function unsubtractedBias(dictionary: Dictionary): Float32Array {
  const { subtractDecoderBias, decoderBias, encoder, encoderBias, inputWidth: D } = dictionary;
  if (subtractDecoderBias || !decoderBias) return encoderBias;
  return encoderBias.map((bias, f) => {
    let sum = bias;
    for (let d = 0; d < D; d++) sum += (encoder[f * D + d] ?? 0) * (decoderBias[d] ?? 0);
    return sum;
  });
}

function moduleOfHook(hook: string): string | undefined {
  if (hook === 'hook_embed') return 'embed_tokens';
  const [, layer, place] = /^blocks\.(\d+)\.(\w+)$/.exec(hook) ?? [];
  if (layer === undefined) return undefined;
  if (place === 'hook_resid_post') return `layers.${layer}`;
  if (place === 'hook_mlp_out') return `layers.${layer}.mlp`;
  return place === 'hook_attn_out' ? `layers.${layer}.self_attn` : undefined;
}
