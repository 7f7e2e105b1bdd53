import type { TorchFile } from '../../weights/torchFile.ts';
import type { Dictionary } from '../dictionary.ts';
import { assemble } from './assemble.ts';
import { named, untold, type SaePlace } from './place.ts';
import { matrixShape, readTensor, requireKnown } from './tensors.ts';
import { transpose } from './weightAlgebra.ts';
import { Failure } from '../../common/failure.ts';

/*
 * Qwen Scope: top-k SAEs of Qwen's residual streams, layer{n}.sae.pt with W_enc (F, D) and W_dec (D, F). Layer, k and
 * model are in the published path: Qwen/SAE-Res-Qwen3-1.7B-Base-W32K-L0_50/layer12.sae.pt. Source: SAELens
 * `qwen_scope_sae_huggingface_loader`.
 */

/** Whether W_enc has a row per feature, as no other of these files has it; of square ones the name decides. */
export function isQwenScope({ tensors, path }: TorchFile): boolean {
  const [rows, columns] = tensors.get('W_enc')?.shape ?? [];
  const [features] = tensors.get('b_enc')?.shape ?? [];
  if (rows === undefined || rows !== features) return false;
  return rows !== columns || path.endsWith('.sae.pt');
}

export async function readQwenScope(place: SaePlace, file: TorchFile): Promise<Dictionary> {
  const [F, D] = matrixShape(file, 'W_enc');
  requireKnown(file, ['W_enc', 'W_dec', 'b_enc', 'b_dec']);
  const of = `beside W_enc of [${F}, ${D}]`;
  const read = (name: string, shape: readonly number[]) => readTensor(file, name, shape, of);
  const layer = named(place, /^layer_?(\d{1,3})(?:\.sae)?\.pt$/);
  const model = named(place, /SAE-Res-(.+)-W\d+K-L0_\d+/);
  const k = place.told.k ?? Number(named(place, /-L0_(\d{1,6})\b/) ?? NaN);
  const hook = place.told.hook ?? (layer && (`blocks.${Number(layer)}.hook_resid_post` as const));
  if (!hook) throw untold(place, 'which hook it reads', '"hook": "blocks.12.hook_resid_post"');
  if (Number.isNaN(k)) throw untold(place, 'how many features it keeps per token', '"k": 50');
  if (k < 1 || k > F) throw new Failure('bad-file', `${file.path}: k is ${k}, of ${F} features.`);
  return assemble(place, {
    hook,
    width: F,
    inputWidth: D,
    encoder: await read('W_enc', [F, D]),
    encoderBias: await read('b_enc', [F]),
    decoder: transpose(await read('W_dec', [D, F]), D, F),
    decoderBias: await read('b_dec', [D]),
    subtractDecoderBias: false,
    rule: { kind: 'topk', maxK: k },
    model: model === undefined ? undefined : `Qwen/${model}`,
    provenance: { context_size: 1024 },
  });
}
