import * as job from '../../kernel/job.ts';
import {
  strideOf,
  type Parameter,
  type StepLosses,
  type StepOptions,
  type StepShape,
  type TrainingArrays,
} from '../backend.ts';
import { KernelMemory } from './kernelMemory.ts';
import { KernelThreads } from './kernelThreads.ts';
import type { Budgets } from '../objective.ts';

/** What a training kernel is made for. */
export interface KernelShape extends StepShape {
  /** Whether `slopes` are wanted of what does not fire too. */
  readonly allSlopes?: boolean;
  readonly threads: number;
  /** Samples whose prefix errors are held at once; a smaller number costs gradients kept in memory. */
  readonly chunk?: number;
}

export interface KernelStepOptions extends StepOptions {
  /** Activations per sample that the auxiliary arrays hold in this step; 0: nothing is dead. */
  readonly auxiliarySlots: number;
}

/** Bytes of prefix errors held at once unless `chunk` says otherwise. */
const errorBytes = 2 ** 28;

/** Addresses of a reconstruction's arrays. */
interface Reconstruction {
  readonly values: number;
  readonly indices: number;
  readonly slopes: number;
  readonly errors: number;
  readonly ends: number;
  readonly segments: number;
  readonly weights: number;
}

/**
 * The training step but for the encoder's product: given which features fire on a batch, it computes the losses and
 * gradients and updates the weights. The step runs in WebAssembly, on the calling thread and `threads - 1` others.
 */
export class TrainingKernel implements TrainingArrays {
  readonly shape: KernelShape;
  /** D padded to a multiple of 8. */
  readonly stride: number;
  readonly encoder: Parameter; // (F, stride)
  readonly encoderBias: Parameter; // (F)
  readonly decoder: Parameter; // (F, stride)
  readonly decoderBias: Parameter | undefined; // (stride)
  readonly input: Float32Array; // (B, stride)
  readonly target: Float32Array; // (B, stride)
  /** What fires: descending, 0 where nothing does. The caller fills these before a step. */
  readonly values: Float32Array; // (B, K)
  readonly indices: BigInt64Array; // (B, K)
  /** d loss / d activation of the last step: 0 where nothing fires, unless the shape asks for all. */
  readonly slopes: Float32Array; // (B, K)
  /** What dead features would give: (B, slots), filled where a step has auxiliary slots. */
  readonly auxiliaryValues: Float32Array;
  readonly auxiliaryIndices: BigInt64Array;
  /** Tokens since each feature last fired, (F). */
  readonly sinceFired: Uint32Array;

  private readonly memory = new KernelMemory();
  private readonly chunk: number;
  private readonly addresses: Record<'job' | 'input' | 'target' | 'residual' | 'sums', number>;
  private readonly main: Reconstruction;
  private readonly auxiliary: Reconstruction;
  private readonly words: Uint32Array;
  private readonly floats: Float32Array;
  private readonly sums: Float64Array;
  private readonly threads: KernelThreads;

  /** `wasm`: the compiled src/kernel. */
  static async open(wasm: Uint8Array, shape: KernelShape): Promise<TrainingKernel> {
    const module = await WebAssembly.compile(Uint8Array.from(wasm));
    return new TrainingKernel(module, shape);
  }

  private constructor(module: WebAssembly.Module, shape: KernelShape) {
    const { features, width, batch, threads, k, auxiliaryK } = shape;
    this.shape = shape;
    this.stride = strideOf(width);
    const row = 4 * this.stride;
    const budgets = shape.budgets.ends.length;
    const most = Math.max(1, Math.floor(errorBytes / (budgets * row)));
    this.chunk = Math.min(batch, shape.chunk ?? most);
    const chunked = this.chunk < batch;
    const memory = this.memory;
    const reserve = (bytes: number): number => memory.reserve(bytes);
    const reserveParameter = (bytes: number): [number, number, number] => [
      reserve(bytes),
      reserve(bytes),
      reserve(bytes),
    ];
    const input = reserve(batch * row);
    this.addresses = {
      job: reserve(4 * job.JOB_WORDS),
      input,
      target: shape.separateTarget ? reserve(batch * row) : input,
      residual: auxiliaryK > 0 ? reserve(this.chunk * row) : 0,
      sums: reserve(32 * threads),
    };
    const encoder = reserveParameter(features * row);
    const encoderBias = reserveParameter(4 * features);
    const decoder = reserveParameter(features * row);
    const decoderBias = reserveParameter(row);
    this.main = this.reserveReconstruction(k, budgets);
    this.auxiliary = this.reserveReconstruction(auxiliaryK, 1);
    const gradients = {
      encoder: chunked ? reserve(features * row) : 0,
      encoderBias: chunked ? reserve(4 * features) : 0,
      decoder: chunked ? reserve(features * row) : 0,
      decoderBias: reserve(threads * row),
    };
    const start = reserve(4 * (features + 1));
    const slots = reserve(4 * this.chunk * (k + auxiliaryK));
    const ranges = reserve(4 * (threads + 1));
    const scratch = reserve(2 * threads * row);
    const sinceFired = reserve(4 * features);

    const shared = memory.create();
    const parameter = (at: [number, number, number], count: number): Parameter => ({
      value: memory.floats(at[0], count),
      firstMoment: memory.floats(at[1], count),
      secondMoment: memory.floats(at[2], count),
    });
    this.encoder = parameter(encoder, features * this.stride);
    this.encoderBias = parameter(encoderBias, features);
    this.decoder = parameter(decoder, features * this.stride);
    this.decoderBias = shape.decoderBias ? parameter(decoderBias, this.stride) : undefined;
    this.input = memory.floats(this.addresses.input, batch * this.stride);
    this.target = memory.floats(this.addresses.target, batch * this.stride);
    this.values = memory.floats(this.main.values, batch * k);
    this.indices = memory.longs(this.main.indices, batch * k);
    this.slopes = memory.floats(this.main.slopes, batch * k);
    this.auxiliaryValues = memory.floats(this.auxiliary.values, batch * auxiliaryK);
    this.auxiliaryIndices = memory.longs(this.auxiliary.indices, batch * auxiliaryK);
    this.sinceFired = memory.words(sinceFired, features);
    this.words = memory.words(this.addresses.job, job.JOB_WORDS);
    this.floats = memory.floats(this.addresses.job, job.JOB_WORDS);
    this.sums = memory.doubles(this.addresses.sums, 4 * threads);

    const w = this.words;
    w[job.THREADS] = threads;
    w[job.FEATURES] = features;
    w[job.ROW] = row;
    w[job.UNIT_DECODER] = shape.unitDecoder ? 1 : 0;
    w.set(encoder, job.ENCODER);
    w.set(encoderBias, job.ENCODER_BIAS);
    w.set(decoder, job.DECODER);
    w.set(shape.decoderBias ? decoderBias : [0, 0, 0], job.DECODER_BIAS);
    w[job.ENCODER_GRADIENT] = gradients.encoder;
    w[job.ENCODER_BIAS_GRADIENT] = gradients.encoderBias;
    w[job.DECODER_GRADIENT] = gradients.decoder;
    w[job.DECODER_BIAS_GRADIENT] = gradients.decoderBias;
    w[job.GROUP_START] = start;
    w[job.GROUP_SLOT] = slots;
    w[job.RANGES] = ranges;
    w[job.SCRATCH] = scratch;
    w[job.SINCE_FIRED] = sinceFired;
    w[job.SUMS] = this.addresses.sums;
    this.describe(job.MAIN, this.main, shape.budgets);
    w[job.MAIN + job.ALL_SLOPES] = shape.allSlopes ? 1 : 0;
    this.describe(job.AUXILIARY, this.auxiliary, {
      ends: Uint32Array.of(0),
      weights: Float32Array.of(1),
    });
    this.threads = new KernelThreads(module, shared, { address: this.addresses.job, threads });
  }

  /** Bytes of memory that the kernel holds. */
  get byteLength(): number {
    return this.memory.byteLength;
  }

  /** Losses and gradients of the batch in `input`, `target`, `values` and `indices`; updates the parameters. */
  step(options: KernelStepOptions): StepLosses {
    const { batch } = this.shape;
    const auxiliary = Math.min(options.auxiliarySlots, this.shape.auxiliaryK);
    this.setOptimizer(options);
    this.floats[job.MAIN + job.GRADIENT_SCALE] = 2 / batch;
    this.floats[job.AUXILIARY + job.GRADIENT_SCALE] = (2 * options.auxiliaryCoefficient) / batch;
    this.memory.words(this.auxiliary.ends, 1)[0] = auxiliary;
    for (let first = 0; first < batch; first += this.chunk) {
      this.point(first, Math.min(this.chunk, batch - first), auxiliary);
      this.threads.step();
    }
    const total = [0, 0, 0];
    for (let t = 0; t < this.shape.threads; t++) {
      for (let i = 0; i < 3; i++) total[i] = (total[i] ?? 0) + (this.sums[4 * t + i] ?? 0);
    }
    const [loss = 0, squaredError = 0, auxiliaryLoss = 0] = total.map(sum => sum / batch);
    return { loss, squaredError, auxiliary: auxiliaryLoss };
  }

  async dispose(): Promise<void> {
    await this.threads.dispose();
  }

  private reserveReconstruction(k: number, budgets: number): Reconstruction {
    const { batch } = this.shape;
    return {
      values: this.memory.reserve(4 * batch * k),
      indices: this.memory.reserve(8 * batch * k),
      slopes: this.memory.reserve(4 * batch * k),
      errors: this.memory.reserve(k > 0 ? 4 * this.stride * this.chunk * budgets : 0),
      ends: this.memory.reserve(4 * budgets),
      segments: this.memory.reserve(4 * k),
      weights: this.memory.reserve(4 * budgets),
    };
  }

  private describe(at: number, r: Reconstruction, budgets: Budgets): void {
    const w = this.words;
    w[at + job.BUDGETS] = budgets.ends.length;
    w[at + job.BUDGET_ENDS] = r.ends;
    w[at + job.BUDGET_OF_SLOT] = r.segments;
    w[at + job.BUDGET_WEIGHTS] = r.weights;
    w[at + job.ERRORS] = r.errors;
    this.memory.words(r.ends, budgets.ends.length).set(budgets.ends);
    this.memory.floats(r.weights, budgets.weights.length).set(budgets.weights);
    const segments = this.memory.words(r.segments, budgets.ends.at(-1) ?? 0);
    for (let slot = 0, m = 0; slot < segments.length; slot++) {
      if (slot === budgets.ends[m]) m++;
      segments[slot] = m;
    }
  }

  /** Adam's bias corrections are folded into the rate and epsilon: m / c1 / (sqrt(s / c2) + eps). */
  private setOptimizer(o: StepOptions): void {
    const correction1 = 1 - o.beta1 ** o.step;
    const correction2 = Math.sqrt(1 - o.beta2 ** o.step);
    this.floats[job.LEARNING_RATE] = (o.learningRate * correction2) / correction1;
    this.floats[job.EPSILON] = o.epsilon * correction2;
    this.floats[job.KEEP] = 1 - o.learningRate * o.weightDecay;
    this.floats[job.ONE_MINUS_BETA1] = 1 - o.beta1;
    this.floats[job.ONE_MINUS_BETA2] = 1 - o.beta2;
  }

  /** Points the job at a chunk of the batch. */
  private point(first: number, samples: number, auxiliary: number): void {
    const { batch, k } = this.shape;
    const row = 4 * this.stride;
    const w = this.words;
    w[job.SAMPLES] = samples;
    w[job.FIRST] = first === 0 ? 1 : 0;
    w[job.LAST] = first + samples === batch ? 1 : 0;
    w[job.INPUT] = this.addresses.input + first * row;
    w[job.MAIN + job.SLOTS] = k;
    w[job.MAIN + job.TARGET] = this.addresses.target + first * row;
    w[job.MAIN + job.VALUES] = this.main.values + 4 * first * k;
    w[job.MAIN + job.INDICES] = this.main.indices + 8 * first * k;
    w[job.MAIN + job.SLOPES] = this.main.slopes + 4 * first * k;
    w[job.MAIN + job.RESIDUAL] = auxiliary > 0 ? this.addresses.residual : 0;
    w[job.AUXILIARY + job.SLOTS] = auxiliary;
    w[job.AUXILIARY + job.SLOPES] = this.auxiliary.slopes;
    w[job.AUXILIARY + job.TARGET] = this.addresses.residual;
    w[job.AUXILIARY + job.VALUES] = this.auxiliary.values + 4 * first * auxiliary;
    w[job.AUXILIARY + job.INDICES] = this.auxiliary.indices + 8 * first * auxiliary;
  }
}
