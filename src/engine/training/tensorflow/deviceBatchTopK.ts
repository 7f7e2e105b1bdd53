import { kept } from '../../../training/batchTopK.ts';
import type { TrainingSettings } from '../../../training/settings.ts';
import type { Changes } from './changes.ts';
import type { DeviceArrays } from './deviceArrays.ts';
import type { DeviceSparsity } from './deviceSparsity.ts';
import { largest } from './largest.ts';
import type { Tensor, Tensorflow, Variable } from './tensorflow.ts';

/** BatchTopK (arXiv 2412.06410), as src/training/batchTopK.ts: the B K largest activations of the batch fire. */
export class DeviceBatchTopK implements DeviceSparsity {
  private readonly tf: Tensorflow;
  private readonly k: number;
  private readonly threshold: Variable; // (1)

  constructor(tf: Tensorflow, { k }: Pick<TrainingSettings, 'k'>, arrays: DeviceArrays) {
    this.tf = tf;
    this.k = k;
    this.threshold = arrays.of('threshold');
  }

  begin(): void {
    // The first batch is selected without a threshold.
  }

  select(changes: Changes, values: Tensor): Tensor {
    const { tf, threshold } = this;
    const { places, smallest } = largest(tf, values, values.shape[0] * this.k);
    const ones = tf.ones([places.size]);
    const fires = tf.reshape(tf.scatterND(places, ones, [values.size]), values.shape);
    const followed = tf.add(tf.mul(threshold, kept), tf.mul(smallest, 1 - kept));
    const first = tf.reshape(smallest, [1]);
    changes.set(threshold, tf.where(tf.equal(threshold, 0), first, followed));
    return tf.mul(values, fires);
  }

  learn(): undefined {
    return undefined;
  }
}
