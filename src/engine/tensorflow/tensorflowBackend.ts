import { setImmediate } from 'node:timers/promises';
import { Failure } from '../../common/failure.ts';
import {
  stepShapeOf,
  type BackendRequest,
  type StepOptions,
  type StepResult,
  type TrainingArrays,
  type TrainingBackend,
} from '../../training/backend.ts';
import { hostArrays } from '../../training/hostArrays.ts';
import { openSparsity, type Sparsity } from '../../training/sparsity.ts';
import { DeviceArrays } from './deviceArrays.ts';
import { openDeviceSparsity } from './deviceSparsity.ts';
import type { Tensor, Tensorflow } from './tensorflow.ts';
import { TensorflowStep, type DeviceBatch } from './tensorflowStep.ts';

/** Steps on the device of the backend that TensorFlow.js has at the time; weights stay there between them. */
export class TensorflowBackend implements TrainingBackend {
  readonly device = 'TensorFlow';
  readonly readSteps = 16;
  readonly arrays: TrainingArrays;
  readonly sparsity: Sparsity;
  private readonly tf: Tensorflow;
  private readonly onDevice: DeviceArrays;
  private readonly steps: TensorflowStep;
  /** Whether steps were taken that the arrays do not know of. */
  private isAhead = false;
  /** Whether the sparsity has still to see its first batch. */
  private isFirst = true;

  constructor(tf: Tensorflow, request: BackendRequest) {
    const { settings } = request;
    const shape = stepShapeOf(request);
    this.tf = tf;
    this.arrays = hostArrays(shape);
    this.sparsity = openSparsity(settings);
    this.onDevice = new DeviceArrays(tf, shape, this.arrays.stride, this.sparsity);
    const sparsity = openDeviceSparsity(tf, settings, this.onDevice);
    this.steps = new TensorflowStep(tf, shape, settings, this.onDevice, sparsity);
  }

  async step(options: StepOptions, read: boolean): Promise<StepResult | undefined> {
    // A step blocks the thread, and whoever wants to stop it is heard between two.
    await setImmediate();
    const { tf } = this;
    const result = this.run(() => this.steps.take(this.batch(), options, this.isFirst));
    this.isAhead = true;
    this.isFirst = false;
    try {
      if (!read) return undefined;
      const [loss = NaN, squaredError = NaN, auxiliary = NaN, dead = NaN] = await result.data();
      return { loss, squaredError, auxiliary, dead };
    } finally {
      tf.dispose(result);
    }
  }

  async encode(): Promise<void> {
    await setImmediate();
    const { tf, arrays } = this;
    const { values, indices } = this.run(() => ({ ...this.steps.encode(this.batch().input) }));
    arrays.values.set(await values.data());
    (await indices.data()).forEach((f, p) => {
      arrays.indices[p] = BigInt(f);
    });
    tf.dispose([values, indices]);
  }

  async download(): Promise<void> {
    if (!this.isAhead) return;
    await this.onDevice.download(this.arrays, this.sparsity);
    this.isAhead = false;
  }

  upload(): Promise<void> {
    this.onDevice.upload(this.arrays, this.sparsity);
    this.isAhead = false;
    this.isFirst = this.sparsity.arrays['logThreshold.value']?.[0] === -Infinity;
    return Promise.resolve();
  }

  dispose(): Promise<void> {
    this.steps.dispose();
    this.onDevice.dispose();
    return Promise.resolve();
  }

  private batch(): DeviceBatch {
    const { tf } = this;
    const { input, target, stride, shape } = this.arrays;
    const onDevice = (rows: Float32Array): Tensor => tf.tensor2d(rows, [shape.batch, stride]);
    const rows = onDevice(input);
    return { input: rows, target: target === input ? rows : onDevice(target) };
  }

  /** Runs operations and frees what they made but their result. */
  private run<T extends Tensor | Record<string, Tensor>>(work: () => T): T {
    try {
      return this.tf.tidy(work);
    } catch (error) {
      throw outOfMemory(error);
    }
  }
}

function outOfMemory(error: unknown): unknown {
  const message = error instanceof Error ? error.message : String(error);
  if (!/\bOOM\b|out of memory|resource.?exhausted|failed to allocate/i.test(message)) return error;
  return new Failure('out-of-memory', `TensorFlow has no room for this training: ${message}`, {
    action: 'Choose a smaller width or batch, or train on the CPU.',
    cause: error,
  });
}
