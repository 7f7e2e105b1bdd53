import { Failure } from '../common/failure.ts';
import type { Gate } from '../common/gate.ts';
import type { Dictionary } from '../saes/dictionary.ts';
import type { ActivationSource, ActivationWindow } from './activations.ts';
import {
  findCheckpoint,
  restoreArrays,
  writeCheckpoint,
  type CheckpointWriter,
  type TrainingState,
} from './checkpoint.ts';
import type { Encoder, OpenEncoder } from './encoder.ts';
import { heldOutRows, measureHeldOut, type HeldOutResult, type HeldOutRows } from './heldOut.ts';
import { initialise } from './initialise.ts';
import { budgetsOf, candidatesOf, hasThreshold } from './objective.ts';
import { learningRate } from './schedule.ts';
import { randomStream, streams } from './seeds.ts';
import { refuseOtherSettings, stepsOf, type TrainingSettings } from './settings.ts';
import { firstRow, ShuffledRows } from './shuffledRows.ts';
import { openSparsity, type Sparsity } from './sparsity.ts';
import { measureTokens, type TokenStatistics } from './tokenStatistics.ts';
import { TrainingKernel } from './trainingKernel.ts';

/** What a trainer is made of. */
export interface TrainerParts {
  readonly settings: TrainingSettings;
  readonly source: ActivationSource;
  /** Where checkpoints are kept. */
  readonly folder: string;
  /** The compiled src/kernel. */
  readonly wasm: Uint8Array;
  readonly openEncoder: OpenEncoder;
  /** Sets the weights that a new training begins with; random ones where not given. */
  readonly begin?: (kernel: TrainingKernel, statistics: TokenStatistics) => void;
  readonly writeCheckpoint?: CheckpointWriter;
  readonly signal?: AbortSignal;
}

/** How a training stands. */
export interface TrainingProgress {
  readonly step: number;
  readonly steps: number;
  readonly tokens: number;
  readonly loss: number;
  /** Of the batch's own tokens, with the variance of the statistics' sample. */
  readonly ev: number;
  readonly dead: number;
  readonly learningRate: number;
  readonly tokensPerSecond: number;
}

export interface RunOptions {
  readonly signal?: AbortSignal;
  /** Holds the training between two steps while it is closed. */
  readonly gate?: Gate | undefined;
  /** Called after every step. */
  report?(progress: TrainingProgress): void;
  /** Called after every step, and waited for: what measures the weights uses the kernel's own arrays. */
  afterStep?(step: number): Promise<void>;
  /** Called with each measurement on held-out windows. */
  reportHeldOut?(result: HeldOutResult, step: number): void;
  /** Seconds between checkpoints. */
  readonly checkpointSeconds?: number;
  /** Steps between points of the loss curve. */
  readonly curveSteps?: number;
  /** Steps between measurements on held-out windows; 0: only when asked. */
  readonly heldOutSteps?: number;
}

/** Windows that the statistics are measured on, at most. */
const statisticsWindows = 64;

/** Trains one SAE; can be stopped after any step and taken up again with the same result. */
export class Trainer {
  readonly settings: TrainingSettings;
  readonly kernel: TrainingKernel;
  private readonly parts: TrainerParts;
  private readonly encoder: Encoder;
  private readonly sparsity: Sparsity;
  private readonly rows: ShuffledRows;
  private state: TrainingState;

  private constructor(
    parts: TrainerParts,
    state: TrainingState,
    kernel: TrainingKernel,
    encoder: Encoder,
    sparsity: Sparsity,
  ) {
    this.parts = parts;
    this.settings = state.settings;
    this.state = state;
    this.kernel = kernel;
    this.encoder = encoder;
    this.sparsity = sparsity;
    this.rows = new ShuffledRows(
      parts.source,
      {
        seed: state.settings.seed,
        batch: state.settings.batch,
        roundWindows: roundWindows(state.settings, parts.source),
        heldOut: new Set(state.heldOut),
        policy: state.statistics.policy,
        scale: state.statistics.scale,
        targetScale: state.statistics.targetScale,
      },
      state.position,
    );
  }

  /** Starts a training, or takes up the one whose checkpoint lies in the folder. */
  static async open(parts: TrainerParts): Promise<Trainer> {
    const { settings } = parts;
    const found = await findCheckpoint(parts.folder);
    if (found) refuseOtherSettings(found.state.settings, settings, parts.folder);
    const state = found ? { ...found.state, settings } : await firstState(parts);
    const k = candidatesOf(settings.objective, settings.k, settings.features);
    const sparsity = openSparsity(settings);
    const kernel = await TrainingKernel.open(parts.wasm, {
      features: settings.features,
      width: parts.source.width,
      k,
      batch: settings.batch,
      budgets: budgetsOf(settings.objective, k, settings.budgets),
      auxiliaryK: settings.auxiliaryK,
      decoderBias: settings.base === undefined,
      separateTarget: settings.base !== undefined,
      unitDecoder: settings.unitDecoder,
      allSlopes: settings.objective === 'jumprelu',
      threads: settings.threads,
    });
    try {
      if (found) await restoreArrays(found.file, kernel, sparsity);
      else if (parts.begin) parts.begin(kernel, state.statistics);
      else initialise(kernel, settings.seed, state.statistics);
      return new Trainer(parts, state, kernel, await parts.openEncoder(kernel), sparsity);
    } catch (error) {
      await kernel.dispose();
      throw error;
    }
  }

  get step(): number {
    return this.state.step;
  }

  get steps(): number {
    return stepsOf(this.settings);
  }

  get snapshot(): TrainingState {
    return { ...this.state, position: this.rows.position };
  }

  /** Trains to the end. Stopped by the signal, it saves a checkpoint and fails with `cancelled`. */
  async run(options: RunOptions = {}): Promise<void> {
    const { signal, gate, checkpointSeconds = 300, curveSteps = 50, heldOutSteps = 0 } = options;
    let saved = Date.now();
    const speed = new Speed();
    while (this.step < this.steps) {
      if (signal?.aborted) {
        await this.save();
        throw new Failure(
          'cancelled',
          `Training was stopped after step ${this.step} of ${this.steps}.`,
          {
            action: 'Run the same command again to go on from there.',
          },
        );
      }
      const began = performance.now();
      const progress = await this.takeStep(signal);
      this.state = {
        ...this.state,
        seconds: this.state.seconds + (performance.now() - began) / 1000,
      };
      const tokensPerSecond = speed.after(this.settings.batch);
      if (this.step % curveSteps === 0) this.addToCurve(progress);
      options.report?.({ ...progress, tokensPerSecond });
      await options.afterStep?.(this.step);
      if (heldOutSteps > 0 && this.step % heldOutSteps === 0) {
        options.reportHeldOut?.(await this.measureHeldOut(), this.step);
      }
      if (Date.now() - saved > 1000 * checkpointSeconds) {
        await this.save();
        saved = Date.now();
      }
      if (gate?.isClosed) {
        // Whoever pauses may close the window.
        await this.save();
        await gate.pass(signal);
        saved = Date.now();
        speed.goOn();
      }
    }
    await this.save();
  }

  async save(): Promise<void> {
    await writeCheckpoint(
      this.parts.folder,
      this.kernel,
      this.sparsity,
      this.snapshot,
      this.parts.writeCheckpoint,
    );
  }

  /**
   * Explained variance on the windows that are never trained on: at powers of two up to K, or, where features fire by a
   * threshold, of all that fire, named K.
   */
  async measureHeldOut(): Promise<HeldOutResult> {
    const windows: ActivationWindow[] = [];
    for (const index of this.state.heldOut)
      windows.push(...(await this.parts.source.read(index, 1, this.parts.signal)));
    return this.measure(this.rowsOf(windows));
  }

  /** The included tokens of windows of the same activations, ready to be measured. */
  rowsOf(windows: readonly ActivationWindow[]): HeldOutRows {
    const { stride } = this.kernel;
    return heldOutRows(windows, this.parts.source.width, this.state.statistics, stride);
  }

  /** The same on other rows. */
  async measure(rows: HeldOutRows): Promise<HeldOutResult> {
    const { k } = this.settings;
    const measure = (ks: readonly number[]): Promise<HeldOutResult> =>
      measureHeldOut(this.kernel, this.encoder, rows, ks, this.sparsity);
    if (!hasThreshold(this.settings.objective))
      return measure([...[1, 2, 4, 8, 16, 32, 64, 128].filter(power => power < k), k]);
    const result = await measure([this.kernel.shape.k]);
    return { ...result, ev: new Map([[k, result.ev.get(this.kernel.shape.k) ?? NaN]]) };
  }

  /** The SAE as it stands, in the scale of the model's own activations. */
  dictionary(description: Pick<Dictionary, 'name' | 'model' | 'provenance'>): Dictionary {
    const { kernel, settings } = this;
    const { scale, targetScale, policy } = this.state.statistics;
    const { width } = this.parts.source;
    const matrix = (rows: Float32Array, factor: number): Float32Array => {
      const values = new Float32Array(settings.features * width);
      for (let p = 0; p < values.length; p++) {
        values[p] = factor * (rows[Math.floor(p / width) * kernel.stride + (p % width)] ?? NaN);
      }
      return values;
    };
    return {
      ...description,
      hook: settings.hook,
      width: settings.features,
      inputWidth: width,
      encoder: matrix(kernel.encoder.value, scale),
      encoderBias: Float32Array.from(kernel.encoderBias.value),
      decoder: matrix(kernel.decoder.value, 1 / targetScale),
      decoderBias:
        kernel.decoderBias &&
        Float32Array.from(kernel.decoderBias.value.subarray(0, width), b => b / targetScale),
      subtractDecoderBias: false,
      rule: this.sparsity.rule,
      tokenPolicy: policy,
      base: settings.base,
    };
  }

  async dispose(): Promise<void> {
    await this.encoder.dispose();
    await this.kernel.dispose();
  }

  private async takeStep(signal?: AbortSignal): Promise<Omit<TrainingProgress, 'tokensPerSecond'>> {
    const { kernel, settings } = this;
    await this.rows.next(kernel, signal);
    await this.encoder.encode();
    this.sparsity.select(kernel);
    const dead = this.deadFeatures();
    const auxiliarySlots =
      dead.length > 0 && settings.auxiliaryK > 0 ? await this.encoder.encodeDead(dead) : 0;
    const step = this.step + 1;
    const rate = learningRate(
      {
        peak: settings.learningRate,
        minimum: settings.minimumLearningRate,
        warmup: settings.warmup,
        steps: this.steps,
      },
      step,
    );
    const options = { ...settings, step, learningRate: rate, auxiliarySlots };
    const losses = kernel.step(options);
    const loss = losses.loss + this.sparsity.learn(kernel, options);
    if (!Number.isFinite(loss)) {
      throw new Failure('internal', `The loss is no longer a number at step ${step}.`, {
        action: 'Start again in another folder with a smaller learning rate (--lr).',
      });
    }
    this.state = { ...this.state, step };
    const { variance, targetScale } = this.state.statistics;
    return {
      step,
      steps: this.steps,
      tokens: step * settings.batch,
      loss,
      ev: 1 - losses.squaredError / (variance * targetScale * targetScale),
      dead: dead.length / settings.features,
      learningRate: rate,
    };
  }

  private deadFeatures(): Uint32Array {
    const dead: number[] = [];
    this.kernel.sinceFired.forEach((tokens, f) => {
      if (tokens >= this.settings.deadTokens) dead.push(f);
    });
    return Uint32Array.from(dead);
  }

  private addToCurve({ step, loss, ev, dead }: Omit<TrainingProgress, 'tokensPerSecond'>): void {
    this.state = { ...this.state, curve: [...this.state.curve, { step, loss, ev, dead }] };
  }
}

/** Tokens per second over the last steps. */
class Speed {
  private last = performance.now();
  private seconds: number[] = [];

  /** What passed since the last step was no work. */
  goOn(): void {
    this.last = performance.now();
  }

  after(tokens: number): number {
    const now = performance.now();
    this.seconds = [...this.seconds.slice(-49), (now - this.last) / 1000];
    this.last = now;
    return (tokens * this.seconds.length) / this.seconds.reduce((sum, s) => sum + s, 0);
  }
}

async function firstState(parts: TrainerParts): Promise<TrainingState> {
  const { settings, source, signal } = parts;
  await source.refresh?.();
  const order = Uint32Array.from({ length: source.windows }, (_, i) => i);
  randomStream(settings.seed, streams.heldOut).shuffle(order);
  const heldOut = Math.min(settings.heldOutWindows, Math.floor(source.windows / 10));
  const statistics = await measureTokens(source, {
    windows: statisticsWindows,
    seed: settings.seed,
    ...(signal ? { signal } : {}),
  });
  return {
    settings,
    statistics,
    heldOut: [...order.subarray(0, heldOut)].sort((a, b) => a - b),
    step: 0,
    position: firstRow,
    curve: [],
    seconds: 0,
  };
}

function roundWindows(settings: TrainingSettings, source: ActivationSource): number {
  const rows = settings.base === undefined ? 1 : 2; // activations, and targets of their own
  const bytes = 4 * source.width * source.windowLength * rows;
  return Math.max(1, Math.floor(settings.roundBytes / bytes));
}
