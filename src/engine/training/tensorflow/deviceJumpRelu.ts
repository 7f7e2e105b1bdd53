import { Failure } from '../../../common/failure.ts';
import type { StepOptions } from '../../../training/backend.ts';
import { bandwidthShare, followRate, gain, thresholdRate } from '../../../training/jumpRelu.ts';
import type { TrainingSettings } from '../../../training/settings.ts';
import { adamStep } from './adamStep.ts';
import type { Changes } from './changes.ts';
import type { DeviceArrays, DeviceParameter } from './deviceArrays.ts';
import type { DeviceSparsity } from './deviceSparsity.ts';
import { largest } from './largest.ts';
import type { Tensor, Tensorflow, Variable } from './tensorflow.ts';

/** What `learn` needs of `select`, within one step's tidy. */
interface Selected {
  readonly indices: Tensor; // int32 (B, K)
  /** (F) and (B, K) */
  readonly thresholds: Tensor;
  readonly theta: Tensor;
  /** (B, K) 1 where the candidate is within the bandwidth of its threshold. */
  readonly near: Tensor;
  /** Mean number of features that fire. */
  readonly l0: Tensor;
}

/** JumpReLU (arXiv 2407.14435), as src/training/jumpRelu.ts states it. */
export class DeviceJumpRelu implements DeviceSparsity {
  private readonly tf: Tensorflow;
  private readonly settings: TrainingSettings;
  private readonly logThreshold: DeviceParameter; // (F)
  /** (2) lambda's base, epsilon. */
  private readonly scalars: Variable;
  private selected: Selected | undefined;

  constructor(tf: Tensorflow, settings: TrainingSettings, arrays: DeviceArrays) {
    this.tf = tf;
    this.settings = settings;
    this.logThreshold = arrays.parameter('logThreshold');
    this.scalars = arrays.of('sparsity');
  }

  begin(changes: Changes, values: Tensor): void {
    const { tf, scalars, logThreshold, settings } = this;
    const { smallest } = largest(tf, values, values.shape[0] * settings.k);
    const theta = tf.where(tf.equal(smallest, 0), tf.onesLike(smallest), smallest);
    changes.set(logThreshold.value, tf.mul(tf.ones(logThreshold.value.shape), tf.log(theta)));
    changes.set(scalars, tf.stack([tf.square(theta), tf.mul(theta, bandwidthShare)]));
  }

  select(changes: Changes, values: Tensor, indices: Tensor): Tensor {
    const { tf } = this;
    const thresholds = tf.exp(changes.of(this.logThreshold.value));
    const flat = tf.reshape(indices, [indices.size]);
    const theta = tf.reshape(tf.gather(thresholds, flat), values.shape);
    const isNear = tf.less(tf.abs(tf.sub(values, theta)), tf.div(this.scalar(changes, 1), 2));
    const near = tf.cast(tf.logicalAnd(tf.greater(values, 0), isNear), 'float32');
    const fires = tf.cast(tf.greater(values, theta), 'float32');
    const l0 = tf.div(tf.sum(fires), values.shape[0]);
    this.selected = { indices, thresholds, theta, near, l0 };
    return tf.mul(values, fires);
  }

  learn(changes: Changes, slopes: Tensor, options: StepOptions): Tensor {
    const { tf, selected, scalars, settings } = this;
    if (!selected) throw new Failure('internal', 'Nothing was selected.');
    const { l0 } = selected;
    const share = tf.div(l0, settings.k);
    const [base, epsilon] = [this.scalar(changes, 0), this.scalar(changes, 1)];
    const coefficient =
      settings.sparsityCoefficient === undefined
        ? tf.mul(base, tf.pow(share, gain))
        : tf.scalar(settings.sparsityCoefficient);
    adamStep(
      tf,
      changes,
      this.logThreshold,
      this.gradient(selected, slopes, coefficient, epsilon),
      {
        ...options,
        learningRate: thresholdRate * options.learningRate,
        weightDecay: 0, // there is no threshold that log theta should decay to
      },
    );
    const off = tf.minimum(tf.sub(share, 1), 1);
    changes.set(scalars, tf.stack([tf.mul(base, tf.exp(tf.mul(off, followRate))), epsilon]));
    this.selected = undefined;
    return tf.mul(coefficient, l0);
  }

  /** (F) d loss / d log theta: the straight-through estimates of those near their thresholds. */
  private gradient(
    { indices, thresholds, theta, near }: Selected,
    slopes: Tensor,
    coefficient: Tensor,
    epsilon: Tensor,
  ): Tensor {
    const { tf } = this;
    const batch = slopes.shape[0];
    const both = tf.add(tf.mul(theta, slopes), tf.div(coefficient, batch));
    const sums = tf.scatterND(
      tf.reshape(indices, [indices.size, 1]),
      tf.reshape(tf.mul(near, both), [indices.size]),
      [thresholds.size],
    );
    return tf.neg(tf.div(tf.mul(thresholds, sums), epsilon));
  }

  private scalar(changes: Changes, at: number): Tensor {
    const { tf } = this;
    return tf.squeeze(tf.slice(changes.of(this.scalars), [at], [1]));
  }
}
