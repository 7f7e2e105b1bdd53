import {
  stepShapeOf,
  type BackendRequest,
  type StepOptions,
  type StepResult,
  type TrainingBackend,
} from '../backend.ts';
import type { Encoder, OpenEncoder } from '../encoder.ts';
import type { TrainingSettings } from '../settings.ts';
import { openSparsity, type Sparsity } from '../sparsity.ts';
import { TrainingKernel } from './trainingKernel.ts';

/** Steps on the CPU: an encoder finds what fires, and the kernel does the rest in memory that both share. */
export class KernelBackend implements TrainingBackend {
  readonly device = 'CPU';
  readonly readSteps = 1;
  readonly arrays: TrainingKernel;
  readonly sparsity: Sparsity;
  private readonly encoder: Encoder;
  private readonly settings: TrainingSettings;

  private constructor(kernel: TrainingKernel, encoder: Encoder, settings: TrainingSettings) {
    this.arrays = kernel;
    this.encoder = encoder;
    this.settings = settings;
    this.sparsity = openSparsity(settings);
  }

  /** `wasm`: the compiled src/kernel. */
  static async open(
    request: BackendRequest,
    wasm: Uint8Array,
    openEncoder: OpenEncoder,
  ): Promise<KernelBackend> {
    const { settings } = request;
    const kernel = await TrainingKernel.open(wasm, {
      ...stepShapeOf(request),
      allSlopes: settings.objective === 'jumprelu',
      threads: settings.threads,
    });
    try {
      return new KernelBackend(kernel, await openEncoder(kernel), settings);
    } catch (error) {
      await kernel.dispose();
      throw error;
    }
  }

  async step(options: StepOptions): Promise<StepResult> {
    const { arrays: kernel, sparsity, encoder } = this;
    await encoder.encode();
    sparsity.begin(kernel);
    sparsity.select(kernel);
    const dead = this.deadFeatures();
    const auxiliarySlots =
      dead.length > 0 && kernel.shape.auxiliaryK > 0 ? await encoder.encodeDead(dead) : 0;
    const losses = kernel.step({ ...options, auxiliarySlots });
    const loss = losses.loss + sparsity.learn(kernel, options);
    return { ...losses, loss, dead: dead.length };
  }

  async encode(): Promise<void> {
    await this.encoder.encode();
  }

  /** Nothing to do: the arrays are the kernel's own memory. */
  download(): Promise<void> {
    return Promise.resolve();
  }

  upload(): Promise<void> {
    return Promise.resolve();
  }

  async dispose(): Promise<void> {
    await this.encoder.dispose();
    await this.arrays.dispose();
  }

  private deadFeatures(): Uint32Array {
    const dead: number[] = [];
    this.arrays.sinceFired.forEach((tokens, f) => {
      if (tokens >= this.settings.deadTokens) dead.push(f);
    });
    return Uint32Array.from(dead);
  }
}
