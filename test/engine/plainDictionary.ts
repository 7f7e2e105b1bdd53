import { Random } from '../../src/common/random.ts';
import type { Dictionary } from '../../src/saes/dictionary.ts';

/** Features kept per token. */
export const K = 8;
const [D, F] = [64, 96];
/** The same stream in every test file: `plain` takes its first numbers. */
export const random = new Random(4);

export const normals = (length: number, scale = 1) =>
  Float32Array.from({ length }, () => scale * random.normal());

/** A topk SAE of random weights that reads the tiny Llama. */
export const plain: Dictionary = {
  name: 'plain',
  hook: 'blocks.0.hook_resid_post',
  width: F,
  inputWidth: D,
  encoder: normals(F * D, 1 / Math.sqrt(D)),
  encoderBias: normals(F, 0.1),
  decoder: normals(F * D, 1 / Math.sqrt(D)),
  decoderBias: normals(D, 0.1),
  subtractDecoderBias: true,
  rule: { kind: 'topk', maxK: K },
  tokenPolicy: { excludeFirst: true, maxNorm: 9 },
  model: undefined,
  provenance: {},
};
