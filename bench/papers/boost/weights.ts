import { Failure } from '../../../src/common/failure.ts';
import type { Dictionary } from '../../../src/saes/dictionary.ts';
import { randomStream } from '../../../src/training/seeds.ts';
import type { TokenStatistics } from '../../../src/training/tokenStatistics.ts';
import type { TrainingArrays } from '../../../src/training/backend.ts';

/** Rows of a dictionary by which features are copied from one to another. */
export type Weights = Pick<
  Dictionary,
  'encoder' | 'encoderBias' | 'decoder' | 'decoderBias' | 'inputWidth' | 'width'
>;

/** Gives a training a dictionary's features from number `first` on, in its own scale: what Trainer.dictionary undoes. */
export function placeWeights(
  arrays: TrainingArrays,
  { scale, targetScale }: Pick<TokenStatistics, 'scale' | 'targetScale'>,
  weights: Weights,
  first = 0,
): void {
  const { inputWidth: D, width: F } = weights;
  for (let f = 0; f < F; f++) {
    const at = (first + f) * arrays.stride;
    for (let d = 0; d < D; d++) {
      arrays.encoder.value[at + d] = (weights.encoder[f * D + d] ?? NaN) / scale;
      arrays.decoder.value[at + d] = (weights.decoder[f * D + d] ?? NaN) * targetScale;
    }
  }
  arrays.encoderBias.value.set(weights.encoderBias, first);
  weights.decoderBias?.forEach((b, d) => {
    if (arrays.decoderBias) arrays.decoderBias.value[d] = b * targetScale;
  });
}

/** Some features of a dictionary, in this order, without its decoder bias. */
export function chosenFeatures(from: Weights, features: Uint32Array): Weights {
  const { inputWidth: D } = from;
  const rows = (matrix: Float32Array): Float32Array => {
    const chosen = new Float32Array(features.length * D);
    features.forEach((f, i) => chosen.set(matrix.subarray(f * D, (f + 1) * D), i * D));
    return chosen;
  };
  return {
    width: features.length,
    inputWidth: D,
    encoder: rows(from.encoder),
    encoderBias: Float32Array.from(features, f => from.encoderBias[f] ?? NaN),
    decoder: rows(from.decoder),
    decoderBias: undefined,
  };
}

/** The dictionary with more features behind its own; its top k then chooses among all of them. */
export function withFeatures(dictionary: Dictionary, added: Weights): Dictionary {
  refuseUnlessTopK(dictionary);
  return {
    ...dictionary,
    width: dictionary.width + added.width,
    encoder: joined(dictionary.encoder, added.encoder),
    encoderBias: joined(dictionary.encoderBias, added.encoderBias),
    decoder: joined(dictionary.decoder, added.decoder),
  };
}

/** The dictionary with some of its features exchanged for those of the same numbers in another of its shape. */
export function withExchanged(
  dictionary: Dictionary,
  other: Weights,
  features: Uint32Array,
): Dictionary {
  const { inputWidth: D } = dictionary;
  const encoder = dictionary.encoder.slice();
  const decoder = dictionary.decoder.slice();
  const encoderBias = dictionary.encoderBias.slice();
  for (const f of features) {
    encoder.set(other.encoder.subarray(f * D, (f + 1) * D), f * D);
    decoder.set(other.decoder.subarray(f * D, (f + 1) * D), f * D);
    encoderBias[f] = other.encoderBias[f] ?? NaN;
  }
  return { ...dictionary, encoder, decoder, encoderBias };
}

/**
 * The features whose directions changed most from one dictionary to another of its shape, most first: by 1 - cosine of
 * their decoder rows plus 1 - cosine of their encoder rows.
 */
export function mostChanged(before: Weights, after: Weights, count: number): Uint32Array {
  const { inputWidth: D, width: F } = before;
  const changes = Float64Array.from({ length: F }, (_, f) => {
    const row = (matrix: Float32Array): Float32Array => matrix.subarray(f * D, (f + 1) * D);
    return (
      2 -
      cosine(row(before.decoder), row(after.decoder)) -
      cosine(row(before.encoder), row(after.encoder))
    );
  });
  return largest(changes, count);
}

/** Numbers of the largest values, largest first; of equal ones the first. */
export function largest(values: Float64Array, count: number): Uint32Array {
  return Uint32Array.from(values.keys())
    .sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0) || a - b)
    .slice(0, count);
}

/** Each row of encoder and decoder moved in a random direction by `share` of its length. */
export function perturbed(weights: Weights, share: number, seed: number): Weights {
  const { inputWidth: D } = weights;
  const random = randomStream(seed, perturbation);
  const moved = (matrix: Float32Array): Float32Array => {
    const result = matrix.slice();
    for (let first = 0; first < result.length; first += D) {
      const row = result.subarray(first, first + D);
      const noise = Float64Array.from(row, () => random.normal());
      const factor = (share * Math.hypot(...row)) / Math.hypot(...noise);
      noise.forEach((n, d) => (row[d] = (row[d] ?? NaN) + factor * n));
    }
    return result;
  };
  return { ...weights, encoder: moved(weights.encoder), decoder: moved(weights.decoder) };
}

export function refuseUnlessTopK({ rule, name, subtractDecoderBias }: Dictionary): void {
  if (rule.kind === 'topk' && !subtractDecoderBias) return;
  throw new Failure(
    'unsupported',
    `The experiment needs a base that keeps its k strongest features and reads x; ${name} is ${rule.kind}${subtractDecoderBias ? ' and reads x - b' : ''}.`,
  );
}

/** A random stream of its own beside the trainer's. */
const perturbation = 101;

function joined(a: Float32Array, b: Float32Array): Float32Array {
  const both = new Float32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function cosine(a: Float32Array, b: Float32Array): number {
  let [product, aa, bb] = [0, 0, 0];
  a.forEach((value, i) => {
    const other = b[i] ?? 0;
    product += value * other;
    aa += value * value;
    bb += other * other;
  });
  return aa > 0 && bb > 0 ? product / Math.sqrt(aa * bb) : 0;
}
