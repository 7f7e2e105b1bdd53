import { Failure } from '../common/failure.ts';
import type { Gate } from '../common/gate.ts';
import type { Dictionary } from '../saes/dictionary.ts';
import type { ActivationSource, ActivationWindow } from './activations/activations.ts';
import type { OpenBackend, StepResult, TrainingArrays, TrainingBackend } from './backend.ts';
import {
  findCheckpoint,
  restoreArrays,
  writeCheckpoint,
  type CheckpointWriter,
  type TrainingState,
} from './checkpoint.ts';
import { heldOutRows, measureHeldOut, type HeldOutResult, type HeldOutRows } from './heldOut.ts';
import { initialise } from './initialise.ts';
import { hasThreshold } from './objective.ts';
import { learningRate } from './schedule.ts';
import { randomStream, streams } from './seeds.ts';
import { refuseOtherSettings, stepsOf, type TrainingSettings } from './settings.ts';
import { firstRow, ShuffledRows } from './activations/shuffledRows.ts';
import { measureTokens, type TokenStatistics } from './tokenStatistics.ts';

/** What a trainer is made of. */
export interface TrainerParts {
  readonly settings: TrainingSettings;
  readonly source: ActivationSource;
  /** Where checkpoints are kept. */
  readonly folder: string;
  /** Where its steps are taken. */
  readonly openBackend: OpenBackend;
  /** Sets the weights that a new training begins with; random ones where not given. */
  readonly begin?: (arrays: TrainingArrays, statistics: TokenStatistics) => void;
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
  /** Called after every step, and waited for: what measures the weights uses the training's own arrays. */
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
  readonly backend: TrainingBackend;
  private readonly parts: TrainerParts;
  private readonly rows: ShuffledRows;
  private state: TrainingState;
  /** Of the last step whose result is known. */
  private last: StepResult = { loss: NaN, squaredError: NaN, auxiliary: NaN, dead: 0 };

  private constructor(parts: TrainerParts, state: TrainingState, backend: TrainingBackend) {
    this.parts = parts;
    this.settings = state.settings;
    this.state = state;
    this.backend = backend;
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
    const backend = await parts.openBackend({ settings, width: parts.source.width });
    try {
      const { arrays, sparsity } = backend;
      if (found) await restoreArrays(found.file, arrays, sparsity);
      else if (parts.begin) parts.begin(arrays, state.statistics);
      else initialise(arrays, settings.seed, state.statistics);
      await backend.upload();
      return new Trainer(parts, state, backend);
    } catch (error) {
      await backend.dispose();
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
      // What a checkpoint or the curve holds is known to be numbers.
      const isSaved = Date.now() - saved > 1000 * checkpointSeconds;
      const progress = await this.takeStep(isSaved || (this.step + 1) % curveSteps === 0, signal);
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
      if (isSaved) {
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
    const { arrays, sparsity } = this.backend;
    await this.backend.download();
    // What has gone wrong since the last known loss must not take a good checkpoint's place.
    if (!arrays.encoderBias.value.every(Number.isFinite)) throw notNumbers(this.step);
    await writeCheckpoint(
      this.parts.folder,
      arrays,
      sparsity,
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
    const { stride } = this.backend.arrays;
    return heldOutRows(windows, this.parts.source.width, this.state.statistics, stride);
  }

  /** The same on other rows. */
  async measure(rows: HeldOutRows): Promise<HeldOutResult> {
    const { k } = this.settings;
    const measure = (ks: readonly number[]): Promise<HeldOutResult> =>
      measureHeldOut(this.backend, rows, ks);
    if (!hasThreshold(this.settings.objective))
      return measure([...[1, 2, 4, 8, 16, 32, 64, 128].filter(power => power < k), k]);
    const candidates = this.backend.arrays.shape.k;
    const result = await measure([candidates]);
    return { ...result, ev: new Map([[k, result.ev.get(candidates) ?? NaN]]) };
  }

  /** The SAE as it was last saved or measured, as at the end of a run; in the scale of the model's own activations. */
  dictionary(description: Pick<Dictionary, 'name' | 'model' | 'provenance'>): Dictionary {
    const { settings, backend } = this;
    const { arrays } = backend;
    const { scale, targetScale, policy } = this.state.statistics;
    const { width } = this.parts.source;
    const matrix = (rows: Float32Array, factor: number): Float32Array => {
      const values = new Float32Array(settings.features * width);
      for (let p = 0; p < values.length; p++) {
        values[p] = factor * (rows[Math.floor(p / width) * arrays.stride + (p % width)] ?? NaN);
      }
      return values;
    };
    return {
      ...description,
      hook: settings.hook,
      width: settings.features,
      inputWidth: width,
      encoder: matrix(arrays.encoder.value, scale),
      encoderBias: Float32Array.from(arrays.encoderBias.value),
      decoder: matrix(arrays.decoder.value, 1 / targetScale),
      decoderBias:
        arrays.decoderBias &&
        Float32Array.from(arrays.decoderBias.value.subarray(0, width), b => b / targetScale),
      subtractDecoderBias: false,
      rule: backend.sparsity.rule,
      tokenPolicy: policy,
      base: settings.base,
    };
  }

  async dispose(): Promise<void> {
    await this.backend.dispose();
  }

  private async takeStep(
    isRead: boolean,
    signal?: AbortSignal,
  ): Promise<Omit<TrainingProgress, 'tokensPerSecond'>> {
    const { backend, settings } = this;
    await this.rows.next(backend.arrays, signal);
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
    const isKnown = Number.isFinite(this.last.loss);
    const read = isRead || !isKnown || step % backend.readSteps === 0 || step === this.steps;
    this.last = (await backend.step({ ...settings, step, learningRate: rate }, read)) ?? this.last;
    const { loss, squaredError, dead } = this.last;
    if (read && !Number.isFinite(loss)) {
      throw notNumbers(step);
    }
    this.state = { ...this.state, step };
    const { variance, targetScale } = this.state.statistics;
    return {
      step,
      steps: this.steps,
      tokens: step * settings.batch,
      loss,
      ev: 1 - squaredError / (variance * targetScale * targetScale),
      dead: dead / settings.features,
      learningRate: rate,
    };
  }

  private addToCurve({ step, loss, ev, dead }: Omit<TrainingProgress, 'tokensPerSecond'>): void {
    this.state = { ...this.state, curve: [...this.state.curve, { step, loss, ev, dead }] };
  }
}

function notNumbers(step: number): Failure {
  return new Failure('internal', `The loss is no longer a number at step ${step}.`, {
    action: 'Start again in another folder with a smaller learning rate (--lr).',
  });
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
