import type { Budgets } from '../../../training/objective.ts';
import type { Tensor, Tensorflow } from './tensorflow.ts';

/** Which prefixes of K slots are measured, as tensors on the device. */
export interface Prefixes {
  /** (M, K) 1 where the slot is in the prefix. */
  readonly contains: Tensor;
  /** (1, M, 1) what each counts in the loss. */
  readonly weights: Tensor;
  /** (K, M) the weight where the prefix contains the slot: its transpose, weighted. Undefined for one prefix of all. */
  readonly weighted: Tensor | undefined;
}

/** Kept until it is disposed of. */
export function makePrefixes(tf: Tensorflow, k: number, { ends, weights }: Budgets): Prefixes {
  const inPrefix = (m: number, slot: number): number => (slot < (ends[m] ?? 0) ? 1 : 0);
  const count = ends.length;
  const contains = Float32Array.from({ length: count * k }, (_, p) =>
    inPrefix(Math.floor(p / k), p % k),
  );
  const weighted = Float32Array.from(
    { length: k * count },
    (_, p) => (weights[p % count] ?? NaN) * inPrefix(p % count, Math.floor(p / count)),
  );
  return {
    contains: tf.keep(tf.tensor2d(contains, [count, k])),
    weights: tf.keep(tf.tensor3d(weights.slice(), [1, count, 1])),
    weighted: count > 1 ? tf.keep(tf.tensor2d(weighted, [k, count])) : undefined,
  };
}

/** What fires, and what it is to give. */
export interface Firing {
  readonly values: Tensor; // (B, K)
  readonly indices: Tensor; // int32 (B, K)
  readonly target: Tensor; // (B, stride)
  readonly decoder: Tensor; // (F, stride)
  readonly bias: Tensor | undefined; // (stride)
  readonly prefixes: Prefixes;
  /** What the gradients count, 2 / B times a coefficient. */
  readonly scale: number;
}

export interface Reconstructed {
  /** Sums over the samples: sum_m w_m |y - xhat_m|^2, and |y - xhat_K|^2. */
  readonly loss: Tensor;
  readonly squaredError: Tensor;
  /** (B, stride) y - xhat_K */
  readonly residual: Tensor;
  /** (B, K) d loss / d activation, of what does not fire too. */
  readonly slopes: Tensor;
  /** (F, stride) */
  readonly decoderGradient: Tensor;
  /** (stride) d loss / d b_dec */
  readonly biasGradient: Tensor;
}

/**
 * Every prefix's reconstruction of some samples and the gradients of its loss (HierarchicalTopK, arXiv 2505.24473):
 *   xhat_m = b_dec + sum of the prefix's v W_dec rows;  d loss / d slot k = g_k = scale sum of w_m (xhat_m - y) over the
 *   prefixes m that contain k;  d loss / d v_k = g_k . row k;  d loss / d row = v_k g_k.
 */
export function reconstruct(tf: Tensorflow, firing: Firing): Reconstructed {
  const { values, indices, target, decoder, bias, prefixes, scale } = firing;
  const [samples = 0, k = 0] = values.shape;
  const stride = decoder.shape[1] ?? 0;
  const rows = tf.gather(decoder, tf.reshape(indices, [samples * k]));
  const bySlot = tf.reshape(rows, [samples, k, stride]);
  const activations = tf.expandDims(values, 2); // (B, K, 1)
  const parts = tf.mul(bySlot, activations); // (B, K, stride)
  const wanted = bias ? tf.sub(target, bias) : target;
  // (B, M, stride) xhat_m - y
  const sums = prefixes.weighted
    ? tf.matMul(tf.expandDims(prefixes.contains, 0), parts)
    : tf.sum(parts, 1, true);
  const errors = tf.sub(sums, tf.expandDims(wanted, 1));
  const squares = tf.square(errors);
  // (B, K, stride), or (B, 1, stride) where one prefix has all slots
  const slopesOfRows = prefixes.weighted
    ? tf.mul(tf.matMul(tf.expandDims(prefixes.weighted, 0), errors), scale)
    : tf.mul(errors, scale);
  const count = errors.shape[1] ?? 1;
  const last = tf.squeeze(tf.slice(errors, [0, count - 1, 0], [samples, 1, stride]), [1]);
  const gradients = tf.mul(activations, slopesOfRows); // (B, K, stride)
  return {
    loss: tf.sum(tf.mul(squares, prefixes.weights)),
    squaredError: tf.sum(tf.square(last)),
    residual: tf.neg(last),
    slopes: tf.sum(tf.mul(slopesOfRows, bySlot), 2),
    decoderGradient: tf.scatterND(
      tf.reshape(indices, [samples * k, 1]),
      tf.reshape(gradients, [samples * k, stride]),
      [decoder.shape[0], stride],
    ),
    // The first slot is in every prefix.
    biasGradient: tf.sum(
      tf.squeeze(tf.slice(slopesOfRows, [0, 0, 0], [samples, 1, stride]), [1]),
      0,
    ),
  };
}
