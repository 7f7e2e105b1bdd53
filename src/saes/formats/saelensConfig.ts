import { Failure } from '../../common/failure.ts';
import { isRecord, parseRecord } from '../../common/record.ts';
import type { Hook } from '../../contracts/hooks.ts';
import type { InputNorm, TranscoderOutput } from '../dictionary.ts';
import { requireHook } from './hookNames.ts';
import { Fields, type Json } from './jsonFields.ts';
import type { Told } from './place.ts';

/** What a SAELens cfg.json says, checked. Keys of SAELens 6 (`SAEConfig.to_dict`) and of the flat files before it. */
export interface SaeLensConfig {
  readonly architecture: Architecture;
  /** d_sae, F */
  readonly width: number;
  /** d_in, D */
  readonly inputWidth: number;
  /** Of a transcoder: hook_name_out and d_out, O. */
  readonly output: TranscoderOutput | undefined;
  /** topk only; else 0. */
  readonly k: number;
  readonly hook: Hook;
  readonly subtractDecoderBias: boolean;
  /** topk and what is trained by it: activations are scaled by the decoder rows' norms before the selection. */
  readonly rescaleByDecoderNorm: boolean;
  /** The input was scaled by a constant in training that is not in the weights. */
  readonly scaledInput: boolean;
  readonly inputNorm: InputNorm | undefined;
  /** A fine-tuned SAE from before SAELens 6: activations are scaled on their way to the decoder. */
  readonly scaledDecoder: boolean;
  readonly centred: boolean;
  readonly metadata: Json;
}

/**
 * batchtopk and matryoshka_batchtopk are what a training saves of itself; for use SAELens saves them as jumprelu. The
 * rest of its kinds (temporal, matching_pursuit, abstopk) is refused: their arithmetic is another.
 */
const architectures = [
  'standard',
  'topk',
  'jumprelu',
  'gated',
  'batchtopk',
  'matryoshka_batchtopk',
  'transcoder',
  'skip_transcoder',
  'jumprelu_transcoder',
  'jumprelu_skip_transcoder',
] as const;
export type Architecture = (typeof architectures)[number];

const normalisations = [
  'none',
  'expected_average_only_in',
  'constant_norm_rescale',
  'layer_norm',
] as const;

/** Reads the text of a cfg.json; `file` names it in failures, and what was told wins over it. */
export function parseSaeLensConfig(json: string, file: string, told: Told = {}): SaeLensConfig {
  const parsed = parseRecord(json, file);
  const cfg = isRecord(parsed['metadata']) ? parsed : flatToNested(parsed);
  const fields = new Fields(cfg, file);
  const width = fields.size('d_sae');
  const architecture = fields.oneOf('architecture', architectures, 'standard');
  const k = architecture === 'topk' ? (told.k ?? fields.size('k')) : 0;
  if (k > width) throw fields.bad('k', `at most d_sae, ${String(width)}`);
  const normalise = fields.oneOf('normalize_activations', normalisations, 'none');
  const metadata = fields.inner('metadata');
  const hook = told.hook ?? requireHook(hookName(metadata.json), file);
  refuseShapes(fields, metadata, hook);
  const isTranscoder = architecture.endsWith('transcoder');
  const byBatch = architecture.endsWith('batchtopk');
  const subtractDecoderBias = fields.flag('apply_b_dec_to_input', !isTranscoder);
  if (isTranscoder && subtractDecoderBias) {
    throw fields.bad('apply_b_dec_to_input', 'false, since the SAE is a transcoder');
  }
  return {
    architecture,
    width,
    inputWidth: fields.size('d_in'),
    output: isTranscoder
      ? {
          hook: told.hookOut ?? requireHook(outputName(metadata.json), file, 'hook_name_out'),
          width: fields.size('d_out'),
        }
      : undefined,
    k,
    hook,
    subtractDecoderBias,
    rescaleByDecoderNorm:
      (architecture === 'topk' || byBatch) && fields.flag('rescale_acts_by_decoder_norm', byBatch),
    scaledInput: normalise === 'expected_average_only_in',
    inputNorm: inputNorms[normalise],
    scaledDecoder: fields.json['finetuning_scaling_factor'] === true,
    centred: metadata.inner('model_from_pretrained_kwargs').json['center_writing_weights'] === true,
    metadata: metadata.json,
  };
}

const inputNorms: Readonly<Record<(typeof normalisations)[number], InputNorm | undefined>> = {
  none: undefined,
  expected_average_only_in: undefined,
  constant_norm_rescale: 'length',
  layer_norm: 'layer',
};

/** SAELens gives Gemma Scope 2's transcoders TransformerLens' hook_mlp_in, which is before the norm; they read behind it. */
function hookName(metadata: Json): unknown {
  const { hook_name: name, hf_hook_name: module } = metadata;
  const isAmbiguous = typeof name === 'string' && name.endsWith('.hook_mlp_in');
  return isAmbiguous ? (module ?? name) : name;
}

/** Before SAELens 6 some transcoders named only their layer and kind; TransformerLens' name is what counts. */
function outputName(metadata: Json): unknown {
  return metadata['hook_name_out'] ?? metadata['hook_point_out'];
}

/** Refuses what is of one head only, and heads where there are none. */
function refuseShapes(fields: Fields, metadata: Fields, hook: Hook): void {
  const reshape = fields.oneOf('reshape_activations', ['none', 'hook_z'], 'none');
  if (reshape === 'hook_z' && !hook.endsWith('hook_z')) {
    throw fields.bad('reshape_activations', `"none" at ${hook}`);
  }
  const head = metadata.json['hook_head_index'] ?? undefined;
  if (head === undefined) return;
  throw new Failure(
    'unsupported',
    `${fields.file} is of an SAE of one attention head ("hook_head_index": ${JSON.stringify(head).slice(0, 20)}); Loupe reads those of all heads together.`,
  );
}

/** The files before SAELens 6: everything at the top level, some of it under older names (`handle_pre_6_0_config`). */
function flatToNested(flat: Json): Json {
  const cfg: Record<string, unknown> = { ...flat };
  cfg['hook_name'] ??= cfg['hook_point'];
  cfg['hook_head_index'] ??= cfg['hook_point_head_index'];
  const activation = cfg['activation_fn'] ?? cfg['activation_fn_str'] ?? 'relu';
  if (activation !== 'relu') {
    // Never read a top-k SAE as a ReLU one: the file says so only here.
    const kwargs = cfg['activation_fn_kwargs'];
    cfg['architecture'] = activation;
    if (isRecord(kwargs)) cfg['k'] ??= kwargs['k'];
  }
  if (typeof cfg['normalize_activations'] === 'boolean') {
    cfg['normalize_activations'] = cfg['normalize_activations']
      ? 'expected_average_only_in'
      : 'none';
  }
  const renamed = { hook_name: cfg['hook_name'], hook_head_index: cfg['hook_head_index'] };
  return {
    ...cfg,
    metadata: flat['hook_name'] === undefined ? { ...flat, ...renamed } : flat,
  };
}
