import { Random } from '../../../src/common/random.ts';
import type {
  ActivationSource,
  ActivationWindow,
} from '../../../src/training/activations/activations.ts';
import type { Encoder } from '../../../src/training/encoder.ts';
import { defaultSettings, type TrainingSettings } from '../../../src/training/settings.ts';
import type { TrainingKernel } from '../../../src/training/kernel/trainingKernel.ts';

/** Activations made of a few known directions of length 1, so that it can be seen whether they are found. */
export class ToyActivations implements ActivationSource {
  readonly width = 16;
  readonly windowLength = 16;
  readonly features = 24;
  readonly windows: number;
  readonly directions: readonly Float64Array[];

  constructor(windows = 60) {
    this.windows = windows;
    const random = new Random(1);
    this.directions = Array.from({ length: this.features }, () => {
      const row = Float64Array.from({ length: this.width }, () => random.normal());
      const length = Math.hypot(...row);
      return row.map(w => w / length);
    });
  }

  read(first: number, count: number): Promise<readonly ActivationWindow[]> {
    return Promise.resolve(Array.from({ length: count }, (_, i) => this.window(first + i)));
  }

  /** Each token is the sum of three directions, each 1 to 2 long. */
  private window(index: number): ActivationWindow {
    const random = new Random(1000 + index);
    const activations = new Float32Array(this.windowLength * this.width);
    for (let t = 0; t < this.windowLength; t++) {
      for (let n = 0; n < 3; n++) {
        const direction = this.directions[random.below(this.features)];
        const length = 1 + random.uniform();
        for (let i = 0; i < this.width; i++) {
          const at = t * this.width + i;
          activations[at] = (activations[at] ?? 0) + length * (direction?.[i] ?? NaN);
        }
      }
    }
    return { tokenIds: new Uint32Array(this.windowLength), activations };
  }
}

/** The encoder's product in plain loops: slow, and the same on every machine. */
export class PlainEncoder implements Encoder {
  private readonly kernel: TrainingKernel;

  constructor(kernel: TrainingKernel) {
    this.kernel = kernel;
  }

  encode(): Promise<void> {
    const { kernel } = this;
    const all = Uint32Array.from({ length: kernel.shape.features }, (_, f) => f);
    this.select(all, kernel.shape.k, kernel.values, kernel.indices);
    return Promise.resolve();
  }

  encodeDead(dead: Uint32Array): Promise<number> {
    const { kernel } = this;
    const slots = Math.min(dead.length, kernel.shape.auxiliaryK);
    this.select(dead, slots, kernel.auxiliaryValues, kernel.auxiliaryIndices);
    return Promise.resolve(slots);
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }

  private select(
    among: Uint32Array,
    k: number,
    values: Float32Array,
    indices: BigInt64Array,
  ): void {
    const { input, encoder, encoderBias, stride, shape } = this.kernel;
    for (let b = 0; b < shape.batch; b++) {
      const x = input.subarray(b * stride, (b + 1) * stride);
      const ranked = Array.from(among, f => {
        const row = encoder.value.subarray(f * stride, (f + 1) * stride);
        return {
          f,
          value: row.reduce((sum, w, i) => sum + w * (x[i] ?? NaN), encoderBias.value[f] ?? NaN),
        };
      }).sort((one, other) => other.value - one.value || one.f - other.f);
      for (let j = 0; j < k; j++) {
        values[b * k + j] = Math.max(0, ranked[j]?.value ?? 0);
        indices[b * k + j] = BigInt(ranked[j]?.f ?? 0);
      }
    }
  }
}

export const toySettings: TrainingSettings = {
  ...defaultSettings,
  hook: 'blocks.0.hook_resid_post',
  features: 24,
  k: 3,
  batch: 64,
  tokens: 64 * 40,
  threads: 2,
  learningRate: 3e-3,
  roundBytes: 20 * 16 * 16 * 4,
  heldOutWindows: 2,
  auxiliaryK: 2,
  deadTokens: 256,
};

/** The toy with a target of its own: a linear function of each activation, as a base's error roughly is. */
export class ToyErrors implements ActivationSource {
  readonly width = 16;
  readonly windowLength = 16;
  readonly windows: number;
  private readonly source: ToyActivations;
  private readonly matrix: Float64Array; // (D, D)

  constructor(windows = 60) {
    this.source = new ToyActivations(windows);
    this.windows = windows;
    const random = new Random(2);
    this.matrix = Float64Array.from({ length: 16 * 16 }, () => random.normal() / 16);
  }

  async read(first: number, count: number): Promise<readonly ActivationWindow[]> {
    const windows = await this.source.read(first, count);
    return windows.map(window => ({ ...window, target: this.targetOf(window.activations) }));
  }

  private targetOf(x: Float32Array): Float32Array {
    return x.map((_, p) => {
      const t = p - (p % 16);
      let sum = 0;
      for (let i = 0; i < 16; i++)
        sum += (this.matrix[(p % 16) * 16 + i] ?? NaN) * (x[t + i] ?? NaN);
      return sum;
    });
  }
}

/** Settings of a residual SAE for the toy's errors. */
export const toyResidualSettings: TrainingSettings = {
  ...toySettings,
  objective: 'batchtopk',
  base: { name: 'toy base', hash: 'abc', k: 4 },
  heldOutWindows: 0,
};
