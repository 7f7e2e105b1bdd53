import { mkdir } from 'node:fs/promises';
import { Random } from '../../../src/common/random.ts';
import type { Dictionary } from '../../../src/saes/dictionary.ts';
import { writeSaeLens } from '../../../src/saes/formats/saelens.ts';

/** Writes a small untrained topk SAE that fits the embedded model: its features mean nothing, but they fire. */
export async function writeRandomSae(folder: string, features = 256, width = 576): Promise<void> {
  const random = new Random(5);
  const rows = Float32Array.from(
    { length: features * width },
    () => random.normal() / Math.sqrt(width),
  ); // (F, D)
  const dictionary: Dictionary = {
    name: 'random',
    hook: 'blocks.15.hook_resid_post',
    width: features,
    inputWidth: width,
    encoder: rows,
    encoderBias: new Float32Array(features),
    decoder: rows,
    decoderBias: new Float32Array(width),
    subtractDecoderBias: false,
    rule: { kind: 'topk', maxK: 64 },
    tokenPolicy: { excludeFirst: true, maxNorm: Infinity },
    model: undefined,
    provenance: {},
  };
  await mkdir(folder, { recursive: true });
  await writeSaeLens(dictionary, folder);
}
