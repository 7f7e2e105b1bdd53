import { createHash } from 'node:crypto';
import type { Gate } from '../../common/gate.ts';
import type { BoostProgress } from '../../contracts/trainer.ts';
import type { Dictionary } from '../../saes/dictionary.ts';
import type { ActivationSource, ActivationWindow } from '../../training/activations/activations.ts';
import { findCheckpoint } from '../../training/checkpoint.ts';
import type { HeldOutRows } from '../../training/heldOut.ts';
import {
  defaultSettings,
  refuseOtherSettings,
  stepsOf,
  type TrainingSettings,
} from '../../training/settings.ts';
import { Trainer, type TrainingProgress } from '../../training/trainer.ts';
import type { FrozenBase } from './frozenBase.ts';
import { backendOn, type Warn } from '../training/trainingBackends.ts';

/** What the settings of a training of a residual SAE follow from. */
export interface BoostSettings {
  readonly width: number; // F
  readonly k: number;
  readonly tokens: number;
  /** What is trained on, windows of tokens: a batch is at most half of it. */
  readonly tokenIds: Uint32Array;
  readonly seed: number;
  readonly threads: number;
}

export interface BoostTraining {
  readonly source: ActivationSource;
  /** Checkpoints go here. */
  readonly folder: string;
  readonly settings: TrainingSettings;
  /** Held-out text that explained variance is measured on meanwhile. */
  readonly heldOut: {
    readonly domain: readonly ActivationWindow[];
    readonly general: readonly ActivationWindow[];
  };
  readonly checkpointSeconds?: number | undefined;
  readonly signal: AbortSignal;
  readonly gate: Gate;
  readonly warn?: Warn | undefined;
  report(progress: TrainedProgress): void;
}

export type TrainedProgress = Omit<BoostProgress, 'phase' | 'secondsLeft'>;

/** A residual SAE as it came out of training, and what there was to learn from. */
export interface TrainedResidual {
  readonly dictionary: Dictionary;
  readonly steps: number;
  /** Tokens trained on, with repetition. */
  readonly tokens: number;
  readonly passes: number;
  /** Seconds in steps, over all sittings. */
  readonly seconds: number;
}

/** Measurements on held-out text in a training, beside that at its beginning. */
export const measurements = 12;
const defaultCheckpointSeconds = 30;

/** The settings of the paper's method; a higher learning rate than its, for budgets of less than a hundredth of its. */
export function boostTrainingSettings(
  { runner, base }: FrozenBase,
  { width, k, tokens, tokenIds, seed, threads }: BoostSettings,
): TrainingSettings {
  const largestBatch = Math.min(1024, tokens / 100, tokenIds.length / 2);
  return {
    ...defaultSettings,
    hook: runner.dictionary.hook,
    features: width,
    k,
    objective: 'batchtopk',
    tokens,
    learningRate: 2e-3,
    batch: Math.max(64, 2 ** Math.floor(Math.log2(largestBatch))),
    deadTokens: Math.min(500_000, Math.max(10_000, Math.round(tokens / 8))),
    base,
    textHash: createHash('sha256').update(tokenIds).digest('hex'),
    heldOutWindows: 0,
    seed,
    threads,
  };
}

/** Whether the training in the folder has taken its last step; fails where it is of another text or base. */
export async function isTrained(folder: string, settings: TrainingSettings): Promise<boolean> {
  const found = await findCheckpoint(folder);
  if (!found) return false;
  refuseOtherSettings(found.state.settings, settings, folder);
  return found.state.step >= stepsOf(settings);
}

/** Trains a residual SAE (SAE Boost, arXiv 2507.12990), or goes on with the one whose checkpoint lies in the folder. */
export async function trainResidual(
  { model, base, tensorflow }: FrozenBase,
  name: string,
  training: BoostTraining,
): Promise<TrainedResidual> {
  const { settings, source, folder, signal, gate } = training;
  const { checkpointSeconds = defaultCheckpointSeconds } = training;
  const trainer = await Trainer.open({
    settings,
    source,
    folder,
    openBackend: backendOn(model.on, training.warn, tensorflow),
    signal,
  });
  try {
    const live = await LiveMeasures.open(trainer, training.heldOut);
    await trainer.run({
      signal,
      gate,
      checkpointSeconds,
      curveSteps: Math.max(1, Math.floor(trainer.steps / 400)),
      heldOutSteps: 0,
      report: progress => training.report(live.progress(progress)),
      afterStep: step => live.update(step),
    });
    const { position, seconds } = trainer.snapshot;
    const dictionary = trainer.dictionary({
      name,
      model: { name: model.info.name, hash: model.info.hash },
      provenance: {
        training_architecture: 'batchtopk',
        context_size: source.windowLength,
        training_tokens: trainer.steps * settings.batch,
        trainer: 'loupe boost',
        tokenizer_sha256: model.tokenizer.fingerprint,
        base: base.name,
      },
    });
    const { steps } = trainer;
    const tokens = steps * settings.batch;
    return { dictionary, steps, tokens, passes: position.pass + 1, seconds };
  } finally {
    await trainer.dispose();
  }
}

/** Explained variance on held-out text while a training runs. */
class LiveMeasures {
  private readonly trainer: Trainer;
  private readonly every: number;
  private readonly rows: { readonly domain: HeldOutRows; readonly general: HeldOutRows };
  private last: Pick<TrainedProgress, 'domainEv' | 'domainEvBase' | 'generalEv' | 'generalEvBase'> =
    { domainEv: null, domainEvBase: null, generalEv: null, generalEvBase: null };

  private constructor(
    trainer: Trainer,
    rows: { readonly domain: HeldOutRows; readonly general: HeldOutRows },
  ) {
    this.trainer = trainer;
    this.rows = rows;
    this.every = Math.max(1, Math.floor(trainer.steps / measurements));
  }

  static async open(trainer: Trainer, heldOut: BoostTraining['heldOut']): Promise<LiveMeasures> {
    const domain = trainer.rowsOf(heldOut.domain);
    const general = trainer.rowsOf(heldOut.general);
    const live = new LiveMeasures(trainer, { domain, general });
    await live.measure();
    // Before the first step, nothing that the residual SAE says means anything.
    if (trainer.step === 0) live.last = { ...live.last, domainEv: null, generalEv: null };
    return live;
  }

  async update(step: number): Promise<void> {
    if (step % this.every === 0) await this.measure();
  }

  progress({
    step,
    steps,
    tokens,
    loss,
    dead,
    tokensPerSecond,
  }: TrainingProgress): TrainedProgress {
    const alive = Math.round((1 - dead) * this.trainer.settings.features);
    return {
      fraction: step / steps,
      step,
      steps,
      tokens,
      loss,
      dead,
      alive,
      tokensPerSecond,
      device: this.trainer.backend.device,
      ...this.last,
    };
  }

  private async measure(): Promise<void> {
    const domain = await this.trainer.measure(this.rows.domain);
    const general = await this.trainer.measure(this.rows.general);
    this.last = {
      domainEv: [...domain.ev.values()].at(-1) ?? null,
      domainEvBase: domain.evOfNothing,
      generalEv: [...general.ev.values()].at(-1) ?? null,
      generalEvBase: general.evOfNothing,
    };
  }
}
