import { longestSilence, type StepOptions, type StepShape } from '../../../training/backend.ts';
import type { TrainingSettings } from '../../../training/settings.ts';
import { adamStep } from './adamStep.ts';
import { Changes } from './changes.ts';
import type { DeviceArrays } from './deviceArrays.ts';
import type { DeviceSparsity } from './deviceSparsity.ts';
import { inChunks } from './inChunks.ts';
import { makePrefixes, type Prefixes, type Reconstructed } from './reconstruction.ts';
import type { Tensor, Tensorflow } from './tensorflow.ts';

/** A batch on the device, rows padded to the stride. */
export interface DeviceBatch {
  readonly input: Tensor; // (B, stride)
  readonly target: Tensor; // (B, stride)
}

/** The strongest features of each sample, by descending activation; activations are rectified. */
export interface DeviceCandidates {
  readonly values: Tensor; // (B, K)
  readonly indices: Tensor; // int32 (B, K)
}

/** A step's settings, and what is known of it beforehand. */
export interface DeviceStepOptions extends StepOptions {
  /** Samples of which every prefix is held at once, at most. */
  readonly samples: number;
  /** Whether the sparsity has still to see its first batch. */
  readonly isFirst: boolean;
  /** False where no feature can be dead yet: there is no AuxK then. */
  readonly mayBeDead: boolean;
}

/** What lets no feature that is alive be among the strongest dead ones. */
const belowAll = -1e30;

/** The training step as operations on TensorFlow's device; every method is to be called inside a tidy. */
export class TensorflowStep {
  private readonly tf: Tensorflow;
  private readonly shape: StepShape;
  private readonly settings: TrainingSettings;
  private readonly arrays: DeviceArrays;
  private readonly sparsity: DeviceSparsity;
  private readonly prefixes: Prefixes;
  /** Those of AuxK: one of all slots. */
  private readonly auxiliary: Prefixes | undefined;
  private readonly auxiliarySlots: number;

  constructor(
    tf: Tensorflow,
    shape: StepShape,
    settings: TrainingSettings,
    arrays: DeviceArrays,
    sparsity: DeviceSparsity,
  ) {
    this.tf = tf;
    this.shape = shape;
    this.settings = settings;
    this.arrays = arrays;
    this.sparsity = sparsity;
    this.prefixes = makePrefixes(tf, shape.k, shape.budgets);
    const slots = Math.min(shape.auxiliaryK, shape.features);
    const all = { ends: Uint32Array.of(slots), weights: Float32Array.of(1) };
    this.auxiliarySlots = slots;
    this.auxiliary = slots > 0 ? makePrefixes(tf, slots, all) : undefined;
  }

  dispose(): void {
    for (const prefixes of [this.prefixes, this.auxiliary]) this.tf.dispose({ ...prefixes });
  }

  /** The K largest of W_enc x + b_enc. */
  encode(input: Tensor): DeviceCandidates {
    return this.strongest(this.preActivations(input), this.shape.k);
  }

  /** Takes a step; (4) the loss, |y - xhat_K|^2, AuxK's loss, and the features that were dead before it. */
  take(batch: DeviceBatch, options: DeviceStepOptions): Tensor {
    const { tf, shape, arrays, sparsity } = this;
    const { input, target } = batch;
    const samples = shape.batch;
    const changes = new Changes();
    const before = this.preActivations(input);
    const candidates = this.strongest(before, shape.k);
    if (options.isFirst) sparsity.begin(changes, candidates.values);
    const values = sparsity.select(changes, candidates.values, candidates.indices);
    const { indices } = candidates;
    const dead = this.dead();
    const main = inChunks(
      tf,
      {
        ...{ values, indices, target, prefixes: this.prefixes, scale: 2 / samples },
        decoder: arrays.decoder.value,
        bias: arrays.decoderBias?.value,
      },
      options.samples,
    );
    const auxiliary = options.mayBeDead
      ? this.auxiliaryLoss(before, dead, main.residual, options)
      : undefined;
    const fired = [{ values, indices, slopes: main.slopes }, ...(auxiliary ? [auxiliary] : [])];
    const slopes = this.sumSlopes(fired);
    const penalty = sparsity.learn(changes, main.slopes, options);
    this.count(changes, { values, indices });
    const { encoder, encoderBias, decoder, decoderBias } = arrays;
    const decoderGradient = auxiliary
      ? tf.add(main.decoderGradient, auxiliary.decoderGradient)
      : main.decoderGradient;
    adamStep(tf, changes, encoder, tf.matMul(slopes, input, true), options);
    adamStep(tf, changes, encoderBias, tf.sum(slopes, 0), options);
    adamStep(tf, changes, decoder, decoderGradient, options);
    if (decoderBias) adamStep(tf, changes, decoderBias, main.biasGradient, options);
    if (shape.unitDecoder) this.normalise(changes);
    const loss = tf.div(main.loss, samples);
    const losses = tf.stack([
      penalty ? tf.add(loss, penalty) : loss,
      tf.div(main.squaredError, samples),
      auxiliary ? tf.div(auxiliary.squaredError, samples) : tf.scalar(0),
      tf.sum(dead),
    ]);
    changes.apply();
    return losses;
  }

  /** (B, F) */
  private preActivations(input: Tensor): Tensor {
    const { tf } = this;
    const { encoder, encoderBias } = this.arrays;
    return tf.add(tf.matMul(input, encoder.value, false, true), encoderBias.value);
  }

  private strongest(preActivations: Tensor, k: number): DeviceCandidates {
    const { values, indices } = this.tf.topk(preActivations, k);
    return { values: this.tf.relu(values), indices };
  }

  /** (F) 1 where the feature has not fired for so long that it counts as dead. */
  private dead(): Tensor {
    const { tf } = this;
    const tokens = Math.min(this.settings.deadTokens, longestSilence);
    const limit = tf.scalar(tokens, 'int32');
    return tf.cast(tf.greaterEqual(this.arrays.sinceFired, limit), 'float32');
  }

  /** AuxK (Gao et al., arXiv 2406.04093): the strongest dead features are to give what is left, a constant. */
  private auxiliaryLoss(
    preActivations: Tensor,
    dead: Tensor,
    residual: Tensor,
    { auxiliaryCoefficient, samples }: DeviceStepOptions,
  ): (Reconstructed & DeviceCandidates) | undefined {
    const { tf, auxiliary: prefixes, arrays } = this;
    if (!prefixes) return undefined;
    const among = tf.add(preActivations, tf.mul(tf.sub(1, dead), belowAll));
    const strongest = this.strongest(among, this.auxiliarySlots);
    const found = inChunks(
      tf,
      {
        ...{ ...strongest, target: residual, prefixes, bias: undefined },
        decoder: arrays.decoder.value,
        scale: (2 * auxiliaryCoefficient) / this.shape.batch,
      },
      samples,
    );
    // Where nothing is dead, there is no such loss.
    const any = tf.minimum(tf.sum(dead), 1);
    return { ...found, ...strongest, squaredError: tf.mul(found.squaredError, any) };
  }

  /** (B, F) d loss / d pre-activation: the slopes of what fires. */
  private sumSlopes(parts: readonly (DeviceCandidates & Pick<Reconstructed, 'slopes'>)[]): Tensor {
    const { tf } = this;
    const { batch, features } = this.shape;
    const sums = parts.map(({ values, indices, slopes }) => {
      const [samples = 0, k = 0] = values.shape;
      const rows = tf.mul(
        tf.reshape(tf.range(0, samples, 1, 'int32'), [samples, 1]),
        tf.onesLike(indices),
      );
      const fires = tf.cast(tf.greater(values, 0), 'float32');
      return tf.scatterND(
        tf.reshape(tf.stack([rows, indices], 2), [samples * k, 2]),
        tf.reshape(tf.mul(slopes, fires), [samples * k]),
        [batch, features],
      );
    });
    return sums.reduce((sum, one) => tf.add(sum, one));
  }

  /** Counts the tokens since each feature fired. */
  private count(changes: Changes, { values, indices }: DeviceCandidates): void {
    const { tf } = this;
    const { sinceFired } = this.arrays;
    const { batch, features } = this.shape;
    const fires = tf.cast(tf.greater(values, 0), 'float32');
    const times = tf.scatterND(
      tf.reshape(indices, [indices.size, 1]),
      tf.reshape(fires, [fires.size]),
      [features],
    );
    const later = tf.minimum(
      tf.add(sinceFired, tf.scalar(batch, 'int32')),
      tf.scalar(longestSilence, 'int32'),
    );
    changes.set(sinceFired, tf.where(tf.greater(times, 0), tf.zerosLike(sinceFired), later));
  }

  /** Scales decoder rows to length 1; a row of zeros stays. */
  private normalise(changes: Changes): void {
    const { tf } = this;
    const { decoder } = this.arrays;
    const value = changes.of(decoder.value);
    const square = tf.sum(tf.square(value), 1, true);
    const length = tf.where(tf.greater(square, 0), tf.sqrt(square), tf.onesLike(square));
    changes.set(decoder.value, tf.div(value, length));
  }
}
