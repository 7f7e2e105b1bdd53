import type { Tensor, Tensorflow } from './tensorflow.ts';

/** The largest of all numbers of a tensor. */
export interface Largest {
  /** int32 (n, 1) where they are in the flattened tensor, of equal ones the earlier. */
  readonly places: Tensor;
  /** The smallest of them that is above 0; 0 where none is. */
  readonly smallest: Tensor;
}

/** The `count` largest of numbers that are at least 0. */
export function largest(tf: Tensorflow, values: Tensor, count: number): Largest {
  const taken = Math.min(count, values.size);
  const top = tf.topk(tf.reshape(values, [values.size]), taken);
  const positive = tf.sum(tf.cast(tf.greater(top.values, 0), 'int32'));
  const at = tf.maximum(tf.sub(positive, tf.scalar(1, 'int32')), tf.scalar(0, 'int32'));
  return { places: tf.expandDims(top.indices, 1), smallest: tf.gather(top.values, at) };
}
