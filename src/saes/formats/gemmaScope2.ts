import { join } from 'node:path';
import { Failure } from '../../common/failure.ts';
import type { Hook } from '../../contracts/hooks.ts';
import { SafetensorsFile } from '../../weights/safetensors.ts';
import type { Dictionary } from '../dictionary.ts';
import { assemble } from './assemble.ts';
import { requireHook } from './hookNames.ts';
import { Fields, readFields } from './jsonFields.ts';
import { named, untold, type SaePlace } from './place.ts';
import { matrixShape, readTensor, requireKnown } from './tensors.ts';
import { transpose } from './weightAlgebra.ts';

/*
 * Gemma Scope 2: JumpReLU SAEs and transcoders of Gemma 3 in params.safetensors (w_enc (D, F), w_dec (F, O)) and
 * config.json. affine_skip_connection is (D, O): the authors' own code has x @ affine_skip_connection, where SAELens
 * multiplies by its transpose. Source: the release's tutorial; SAELens `gemma_3_sae_huggingface_loader`.
 */
const weightsFile = 'params.safetensors';

/** Whether the place is a folder with params.safetensors. */
export function isGemmaScope2({ file, names }: SaePlace): boolean {
  return names.has(weightsFile) && (file === undefined || !/\.(npz|pt)$/.test(file));
}

export async function readGemmaScope2(place: SaePlace): Promise<Dictionary> {
  const { folder, names } = place;
  const config = names.has('config.json')
    ? await readFields(join(folder, 'config.json'))
    : new Fields({}, join(folder, 'config.json'));
  config.oneOf('architecture', ['jump_relu'], 'jump_relu');
  const file = await SafetensorsFile.open(join(folder, weightsFile));
  if ((file.tensors.get('w_dec')?.shape.length ?? 2) !== 2) {
    throw new Failure(
      'unsupported',
      `${file.path} writes for several layers at once: a cross-layer transcoder or crosscoder, which Loupe does not read.`,
    );
  }
  const [D, F] = matrixShape(file, 'w_enc');
  const [, O] = matrixShape(file, 'w_dec');
  requireKnown(file, ['w_enc', 'w_dec', 'b_enc', 'b_dec', 'threshold', 'affine_skip_connection']);
  const read = (name: string, shape: readonly number[]) =>
    readTensor(file, name, shape, `beside w_enc of [${D}, ${F}]`);
  const { hook, output } = hooksOf(place, config);
  const threshold = await read('threshold', [F]);
  const skips = file.tensors.has('affine_skip_connection');
  return assemble(place, {
    hook,
    width: F,
    inputWidth: D,
    encoder: transpose(await read('w_enc', [D, F]), D, F),
    encoderBias: await read('b_enc', [F]),
    decoder: await read('w_dec', [F, O]),
    decoderBias: await read('b_dec', [O]),
    subtractDecoderBias: false,
    rule: { kind: 'jumprelu', threshold: threshold.map(value => Math.max(value, 0)) },
    ...(output && { output: { hook: output, width: O } }),
    ...(skips && { skip: transpose(await read('affine_skip_connection', [D, O]), D, O) }),
    model: config.optionalText('model_name'),
    provenance: { context_size: 1024 },
  });
}

/** By the configuration; where there is none, by the folders' names (SAELens `_infer_gemma_3_raw_cfg_dict`). */
function hooksOf(place: SaePlace, config: Fields): { hook: Hook; output?: Hook | undefined } {
  const { hf_hook_point_in: reads, hf_hook_point_out: writes } = config.json;
  if (typeof reads === 'string') {
    const hook = requireHook(reads, config.file, 'hf_hook_point_in');
    const output =
      typeof writes === 'string' && writes !== reads
        ? requireHook(writes, config.file, 'hf_hook_point_out')
        : undefined;
    return { hook, output };
  }
  if (place.told.hook) return { hook: place.told.hook, output: place.told.hookOut };
  const layer = named(place, /^layer_(\d{1,4})_/);
  const kind = named(place, /^(resid_post|attn_out|mlp_out|transcoder)(?:_all)?$/);
  const example = '"hook": "blocks.12.hook_resid_post"';
  if (layer === undefined || kind === undefined)
    throw untold(place, 'which hook it reads', example);
  const at = Number(layer);
  if (kind === 'resid_post') return { hook: `blocks.${at}.hook_resid_post` };
  if (kind === 'attn_out') return { hook: `blocks.${at}.attn.hook_z` };
  if (kind === 'mlp_out') return { hook: `blocks.${at}.hook_mlp_out` };
  return { hook: `blocks.${at}.mlp.hook_in`, output: `blocks.${at}.hook_mlp_out` };
}
