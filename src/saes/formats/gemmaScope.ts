import { join } from 'node:path';
import { Failure } from '../../common/failure.ts';
import type { Hook } from '../../contracts/hooks.ts';
import { NpzFile } from '../../weights/npz.ts';
import type { TensorSource } from '../../weights/tensorSource.ts';
import type { Dictionary } from '../dictionary.ts';
import { assemble } from './assemble.ts';
import { named, untold, type SaePlace } from './place.ts';
import { matrixShape, readTensor, requireKnown } from './tensors.ts';
import { foldInputScale, transpose } from './weightAlgebra.ts';

/*
 * Gemma Scope (arXiv 2408.05147): JumpReLU SAEs of Gemma 2 in params.npz, W_enc (D, F), W_dec (F, O). Nothing in the file
 * says where they belong; the published paths do: google/gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82.
 * Source: SAELens `gemma_2_sae_huggingface_loader`, `gemma_2_transcoder_huggingface_loader`.
 */

/** Whether the place is an .npz file, or a folder with one. */
export function isGemmaScope(place: SaePlace): boolean {
  return npzOf(place) !== undefined;
}

function npzOf({ file, names }: SaePlace): string | undefined {
  if (file !== undefined) return file.endsWith('.npz') ? file : undefined;
  const all = [...names].filter(name => name.endsWith('.npz'));
  return names.has('params.npz') ? 'params.npz' : all.length === 1 ? all[0] : undefined;
}

export async function readGemmaScope(place: SaePlace): Promise<Dictionary> {
  const npz = await NpzFile.open(join(place.folder, npzOf(place) ?? ''));
  // Transcoders write their matrices' names in lower case.
  const lower = npz.tensors.has('w_enc');
  const [W_enc, W_dec] = lower ? ['w_enc', 'w_dec'] : ['W_enc', 'W_dec'];
  const [D, F] = matrixShape(npz, W_enc);
  const [, O] = matrixShape(npz, W_dec);
  requireKnown(npz, [W_enc, W_dec, 'b_enc', 'b_dec', 'threshold', 'scaling_factor']);
  const read = (name: string, shape: readonly number[]) =>
    readTensor(npz, name, shape, `beside ${W_enc} of [${D}, ${F}]`);
  await refuseScaled(npz, F);
  const { hook, output, embedding } = hooksOf(place);
  if (!output && O !== D)
    throw untold(place, 'what it writes for', '"hookOut": "blocks.5.hook_mlp_out"');
  const encoder = transpose(await read(W_enc, [D, F]), D, F);
  const decoder = await read(W_dec, [F, O]);
  // Trained on embeddings before Gemma multiplies them by sqrt(D); the decoder's bias stays (as SAELens has it).
  if (embedding) {
    foldInputScale({ encoder, decoder, decoderBias: new Float32Array() }, 1 / Math.sqrt(D));
  }
  const threshold = await read('threshold', [F]);
  return assemble(place, {
    hook,
    width: F,
    inputWidth: D,
    encoder,
    encoderBias: await read('b_enc', [F]),
    decoder,
    decoderBias: await read('b_dec', [O]),
    subtractDecoderBias: false,
    rule: { kind: 'jumprelu', threshold: threshold.map(value => Math.max(value, 0)) },
    ...(output && { output: { hook: output, width: O } }),
    model: modelOf(place),
    provenance: { context_size: 1024 },
  });
}

/** By the repository's name and the folder's, both in the path; what a person told is put in by `assemble`. */
function hooksOf(place: SaePlace): { hook: Hook; output?: Hook; embedding?: boolean } {
  const { told } = place;
  if (told.hook) return { hook: told.hook, ...(told.hookOut && { output: told.hookOut }) };
  const kind = named(place, /gemma-scope-[\w.]+-(?:pt|it)-(res|mlp|att|transcoders)\b/);
  if (kind === 'res' && named(place, /^(embedding)$/))
    return { hook: 'hook_embed', embedding: true };
  const layer = named(place, /^layer_(\d{1,4})\b/);
  const example = '"hook": "blocks.12.hook_resid_post"';
  if (kind === undefined || layer === undefined)
    throw untold(place, 'which hook it reads', example);
  const at = Number(layer);
  if (kind === 'res') return { hook: `blocks.${at}.hook_resid_post` };
  if (kind === 'mlp') return { hook: `blocks.${at}.hook_mlp_out` };
  if (kind === 'att') return { hook: `blocks.${at}.attn.hook_z` };
  return { hook: `blocks.${at}.ln2.hook_normalized`, output: `blocks.${at}.hook_mlp_out` };
}

/** gemma-scope-9b-it-res is of gemma-2-9b-it, gemma-scope-2b-pt-res of gemma-2-2b. */
function modelOf(place: SaePlace): string | undefined {
  const name = named(place, /gemma-scope-((?:2b|9b|27b)-(?:pt|it))\b/);
  return name && `gemma-2-${name.replace('-pt', '')}`;
}

async function refuseScaled(npz: TensorSource, F: number): Promise<void> {
  if (!npz.tensors.has('scaling_factor')) return;
  const factors = await readTensor(npz, 'scaling_factor', [F]);
  if (factors.every(value => value === 1)) return;
  throw new Failure('unsupported', `${npz.path} has a scaling_factor other than 1.`);
}
