import { setImmediate } from 'node:timers/promises';
import { isOutOfMemory } from '../../../common/outOfMemory.ts';
import {
  stepShapeOf,
  type BackendRequest,
  type StepOptions,
  type StepResult,
  type TrainingArrays,
  type TrainingBackend,
} from '../../../training/backend.ts';
import { deviceLost, orDeviceLost, smallerParts } from '../../../training/deviceLost.ts';
import { hostArrays } from '../../../training/hostArrays.ts';
import { openSparsity, type Sparsity } from '../../../training/sparsity.ts';
import type { TrainingSettings } from '../../../training/settings.ts';
import { DeviceArrays } from './deviceArrays.ts';
import { openDeviceSparsity } from './deviceSparsity.ts';
import type { Tensor, Tensorflow } from './tensorflow.ts';
import { TensorflowStep, type DeviceBatch } from './tensorflowStep.ts';

export interface TensorflowBackendOptions {
  /** Hears, in one sentence, what a user should know of the training. */
  readonly warn?: ((message: string) => void) | undefined;
}

/** Bytes of a tensor (samples, K, stride) at first; a step holds some five of them. */
const largestTensor = 2 ** 28;

/** Steps on the device of the backend that TensorFlow.js has at the time; weights stay there between them. */
export class TensorflowBackend implements TrainingBackend {
  readonly device = 'TensorFlow';
  readonly readSteps = 16;
  readonly arrays: TrainingArrays;
  readonly sparsity: Sparsity;
  private readonly tf: Tensorflow;
  private readonly options: TensorflowBackendOptions;
  private readonly settings: TrainingSettings;
  private readonly deviceArrays: DeviceArrays;
  private readonly steps: TensorflowStep;
  /** Whether steps were taken that the arrays do not know of. */
  private isAhead = false;
  /** Whether the sparsity has still to see its first batch. */
  private isFirst = true;
  /** At least the tokens since any feature fired. */
  private silence = Infinity;
  /** Samples whose prefixes are held at once. */
  private samples: number;

  constructor(tf: Tensorflow, request: BackendRequest, options: TensorflowBackendOptions = {}) {
    const { settings } = request;
    const shape = stepShapeOf(request);
    this.tf = tf;
    this.settings = settings;
    this.options = options;
    this.arrays = hostArrays(shape);
    this.sparsity = openSparsity(settings);
    this.deviceArrays = new DeviceArrays(tf, this.arrays, this.sparsity);
    const row = 4 * this.arrays.stride * Math.max(shape.k, shape.auxiliaryK);
    this.samples = Math.min(shape.batch, Math.max(1, Math.floor(largestTensor / row)));
    const sparsity = openDeviceSparsity(tf, settings, this.deviceArrays);
    this.steps = new TensorflowStep(tf, shape, settings, this.deviceArrays, sparsity);
  }

  async step(options: StepOptions, read: boolean): Promise<StepResult | undefined> {
    // A step blocks the thread, and whoever wants to stop it is heard between two.
    await setImmediate();
    const { tf } = this;
    const result = this.take(options);
    this.isAhead = true;
    this.isFirst = false;
    this.silence += this.settings.batch;
    try {
      if (!read) return undefined;
      const [loss = NaN, squaredError = NaN, auxiliary = NaN, dead = NaN] = await orDeviceLost(
        this.device,
        () => result.data(),
      );
      return { loss, squaredError, auxiliary, dead };
    } finally {
      tf.dispose(result);
    }
  }

  async encode(): Promise<void> {
    await setImmediate();
    const { tf, arrays } = this;
    await orDeviceLost(this.device, async () => {
      const { values, indices } = tf.tidy(() => ({ ...this.steps.encode(this.batch().input) }));
      try {
        arrays.values.set(await values.data());
        (await indices.data()).forEach((f, p) => {
          arrays.indices[p] = BigInt(f);
        });
      } finally {
        tf.dispose([values, indices]);
      }
    });
  }

  async download(): Promise<void> {
    if (!this.isAhead) return;
    await orDeviceLost(this.device, () => this.deviceArrays.download(this.arrays, this.sparsity));
    this.agree();
  }

  upload(): Promise<void> {
    this.deviceArrays.upload(this.arrays, this.sparsity);
    this.agree();
    this.isFirst = this.sparsity.arrays['logThreshold.value']?.[0] === -Infinity;
    return Promise.resolve();
  }

  dispose(): Promise<void> {
    this.steps.dispose();
    this.deviceArrays.dispose();
    return Promise.resolve();
  }

  /** The arrays are what the device has. */
  private agree(): void {
    this.isAhead = false;
    this.silence = this.arrays.sinceFired.reduce((most, tokens) => Math.max(most, tokens), 0);
  }

  private batch(): DeviceBatch {
    const { tf } = this;
    const { input, target, stride, shape } = this.arrays;
    const tensorOf = (rows: Float32Array): Tensor => tf.tensor2d(rows, [shape.batch, stride]);
    const rows = tensorOf(input);
    return { input: rows, target: target === input ? rows : tensorOf(target) };
  }

  /** A step that finds no room is taken again, in smaller parts. */
  private take(options: StepOptions): Tensor {
    const { isFirst } = this;
    const mayBeDead = this.silence >= this.settings.deadTokens;
    for (;;) {
      const { samples } = this;
      try {
        return this.tf.tidy(() =>
          this.steps.take(this.batch(), { ...options, isFirst, mayBeDead, samples }),
        );
      } catch (error) {
        if (!isOutOfMemory(error) || samples === 1) throw deviceLost(this.device, error);
        this.samples = Math.ceil(samples / 2);
        this.options.warn?.(smallerParts(this.device, this.samples));
      }
    }
  }
}
