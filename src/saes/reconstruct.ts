import { outputWidthOf, type Dictionary } from './dictionary.ts';

/** The strongest features of every token, by descending activation; padding has activation 0. */
export interface Encoding {
  /** K, features kept per token. */
  readonly k: number;
  readonly features: Uint32Array; // (T, K)
  readonly activations: Float32Array; // (T, K)
  /** By what each token's features are multiplied in its reconstruction (T); 1 where absent. */
  readonly scale?: Float32Array | undefined;
  /** Each token's reconstruction before any feature (T, O); the decoder's bias where absent. */
  readonly start?: Float32Array | undefined;
}

type Decoder = Pick<Dictionary, 'inputWidth' | 'decoder' | 'decoderBias' | 'output'>;

/** What is left of x when the features are taken from it in turn, and how it lies to what domains add. */
export interface PrefixErrors {
  /** |x - xhat_k|^2 for k = 1..K, (T, K). */
  readonly squaredError: Float32Array;
  /** (x - xhat_k) . ehat of each residual, for k = 1..K: n times (T, K). */
  readonly products: readonly Float32Array[];
}

/**
 * The errors of every prefix k = 1..K in one pass: each feature in turn is taken from what is left of x, summed in
 * float64. `residuals` are reconstructions of the error by residual SAEs, n times (T, D).
 */
export function prefixErrors(
  dictionary: Decoder,
  x: Float32Array, // (T, D), or (T, O): the activation at a transcoder's output
  { k: K, features, activations, scale, start }: Encoding,
  residuals: readonly Float32Array[] = [],
): PrefixErrors {
  const { decoder, decoderBias } = dictionary;
  const D = outputWidthOf(dictionary);
  const squaredError = new Float32Array(activations.length); // (T, K)
  const products = residuals.map(() => new Float32Array(activations.length));
  const left = new Float64Array(D); // x - xhat_k
  for (let t = 0; t < x.length / D; t++) {
    const before = start?.subarray(t * D, (t + 1) * D) ?? decoderBias;
    for (let d = 0; d < D; d++) left[d] = (x[t * D + d] ?? 0) - (before?.[d] ?? 0);
    const factor = scale?.[t] ?? 1;
    const added = residuals.map(ehat => ehat.subarray(t * D, (t + 1) * D));
    let error = sumOfSquares(left);
    let along = added.map(ehat => dot(left, ehat));
    for (let j = t * K; j < (t + 1) * K; j++) {
      const activation = activations[j] ?? 0;
      if (activation !== 0) {
        error = subtractRow(left, decoder, (features[j] ?? 0) * D, activation * factor);
        along = added.map(ehat => dot(left, ehat));
      }
      squaredError[j] = error;
      for (const [i, product] of along.entries()) (products[i] ?? squaredError)[j] = product;
    }
  }
  return { squaredError, products };
}

/** Inner products of the rows of the residuals (n times (T, D)) with each other, token by token: (T, n, n). */
export function gramOf(residuals: readonly Float32Array[], D: number): Float32Array {
  const n = residuals.length;
  const tokens = (residuals[0]?.length ?? 0) / D;
  const gram = new Float32Array(tokens * n * n);
  for (let t = 0; t < tokens; t++) {
    const rows = residuals.map(ehat => ehat.subarray(t * D, (t + 1) * D));
    rows.forEach((a, i) => rows.forEach((b, j) => (gram[(t * n + i) * n + j] = dot(a, b))));
  }
  return gram;
}

/** The reconstruction from the k strongest features, (T, O). */
export function reconstruct(
  dictionary: Decoder,
  { k: K, features, activations, scale, start }: Encoding,
  k: number,
): Float32Array {
  const { decoder, decoderBias } = dictionary;
  const D = outputWidthOf(dictionary);
  const tokens = activations.length / K;
  const result = new Float32Array(tokens * D);
  const sum = new Float64Array(D);
  for (let t = 0; t < tokens; t++) {
    const before = start?.subarray(t * D, (t + 1) * D) ?? decoderBias;
    for (let d = 0; d < D; d++) sum[d] = before?.[d] ?? 0;
    const factor = scale?.[t] ?? 1;
    for (let j = t * K; j < t * K + Math.min(k, K); j++) {
      const activation = (activations[j] ?? 0) * factor;
      const row = (features[j] ?? 0) * D;
      if (activation === 0) continue;
      for (let d = 0; d < D; d++) sum[d] = (sum[d] ?? 0) + activation * (decoder[row + d] ?? 0);
    }
    result.set(sum, t * D);
  }
  return result;
}

/** Four sums, so that additions overlap. */
function dot(a: Float64Array | Float32Array, b: Float32Array): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  const D = b.length;
  let d = 0;
  for (; d + 3 < D; d += 4) {
    s0 += (a[d] ?? 0) * (b[d] ?? 0);
    s1 += (a[d + 1] ?? 0) * (b[d + 1] ?? 0);
    s2 += (a[d + 2] ?? 0) * (b[d + 2] ?? 0);
    s3 += (a[d + 3] ?? 0) * (b[d + 3] ?? 0);
  }
  for (; d < D; d++) s0 += (a[d] ?? 0) * (b[d] ?? 0);
  return s0 + s1 + s2 + s3;
}

function sumOfSquares(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}

/** Takes `activation` times a decoder row from `left` and returns |left|^2; four sums, so that additions overlap. */
function subtractRow(
  left: Float64Array,
  decoder: Float32Array,
  row: number,
  activation: number,
): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  const D = left.length;
  let d = 0;
  for (; d + 3 < D; d += 4) {
    const v0 = (left[d] ?? 0) - activation * (decoder[row + d] ?? 0);
    const v1 = (left[d + 1] ?? 0) - activation * (decoder[row + d + 1] ?? 0);
    const v2 = (left[d + 2] ?? 0) - activation * (decoder[row + d + 2] ?? 0);
    const v3 = (left[d + 3] ?? 0) - activation * (decoder[row + d + 3] ?? 0);
    left[d] = v0;
    left[d + 1] = v1;
    left[d + 2] = v2;
    left[d + 3] = v3;
    s0 += v0 * v0;
    s1 += v1 * v1;
    s2 += v2 * v2;
    s3 += v3 * v3;
  }
  for (; d < D; d++) {
    const v = (left[d] ?? 0) - activation * (decoder[row + d] ?? 0);
    left[d] = v;
    s0 += v * v;
  }
  return s0 + s1 + s2 + s3;
}
