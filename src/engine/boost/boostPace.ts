import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../../common/failure.ts';
import type { ActivationSource, ActivationWindow } from '../../training/activations/activations.ts';
import { Trainer } from '../../training/trainer.ts';
import { computed } from './boostSource.ts';
import { boostTrainingSettings, type BoostSettings } from './boostTrain.ts';
import { evaluate } from '../analysis/evaluate.ts';
import type { FrozenBase } from './frozenBase.ts';
import { openResidual } from '../saes/residualRunner.ts';
import { backendOn } from '../training/trainingBackends.ts';

/** Seconds per token that the parts of a training of a residual SAE take on this machine now. */
export interface BoostPace {
  /** The model up to the hook, and the base. */
  readonly computing: number;
  /** A step of training. */
  readonly training: number;
  /** A measurement while training. */
  readonly watching: number;
  /** The report: the model whole, without its activations, and with those of the base and of two variants. */
  readonly measuring: number;
}

export type PaceSettings = Pick<BoostSettings, 'width' | 'k' | 'tokens' | 'threads'> & {
  /** Tokens of text to train on. */
  readonly textTokens: number;
};

/** Tokens that the report's measurements are timed on, after some that warm up: those of its windows take as long. */
const measured = { warmUp: 16, timed: 64 };
/** Steps of training, the first of which warm up; a device is waited for when results are read, after so many. */
const stepsOnCpu = { warmUp: 2, timed: 4 };
const stepsOnDevice = { warmUp: 16, timed: 16 };

/** Times each part on a window of any tokens, after a run that warms up: some seconds in all. */
export async function boostPace(
  frozen: FrozenBase,
  asked: PaceSettings,
  signal: AbortSignal,
): Promise<BoostPace> {
  const { windowLength } = frozen;
  const tokenIds = Uint32Array.from({ length: 2 * windowLength }, (_, i) => 100 + (i % 1000));
  const source = computed(frozen, tokenIds, windowLength);
  const [window] = await source.read(0, 1, signal);
  if (!window) throw new Failure('internal', 'The model gave no activations to time.');
  const computing = await secondsOf(() => source.read(1, 1, signal));
  const folder = await mkdtemp(join(tmpdir(), 'loupe-pace-'));
  const trainer = await openTimedTrainer(
    frozen,
    repeated(window, source),
    { ...asked, folder },
    signal,
  );
  try {
    const training = await secondsOfStep(trainer, signal);
    const watching = await secondsOf(() => trainer.measure(trainer.rowsOf([window])));
    const { name, hash } = frozen.model.info;
    const dictionary = trainer.dictionary({ name, model: { name, hash }, provenance: {} });
    const residual = await openResidual(dictionary, asked.threads);
    try {
      const measure = (length: number) =>
        evaluate(frozen.model, frozen.runner, {
          tokenIds: tokenIds.subarray(0, length),
          windowLength: length,
          ks: [frozen.k],
          residuals: [residual, residual],
          subsets: [[], [0], [1]],
          signal,
        });
      await measure(Math.min(windowLength, measured.warmUp));
      const length = Math.min(windowLength, measured.timed);
      return {
        computing: computing / windowLength,
        training: training / trainer.settings.batch,
        watching: watching / windowLength,
        measuring: (await secondsOf(() => measure(length))) / length,
      };
    } finally {
      await residual.dispose();
    }
  } finally {
    await trainer.dispose();
    await rm(folder, { recursive: true, force: true });
  }
}

async function openTimedTrainer(
  frozen: FrozenBase,
  source: ActivationSource,
  asked: PaceSettings & { readonly folder: string },
  signal: AbortSignal,
): Promise<Trainer> {
  const tokenIds = new Uint32Array(Math.min(4096, asked.textTokens)); // decides the size of a batch
  const settings = boostTrainingSettings(frozen, { ...asked, tokenIds, seed: 0 });
  return Trainer.open({
    settings: {
      ...settings,
      tokens: 2 * (stepsOnDevice.warmUp + stepsOnDevice.timed) * settings.batch,
    },
    source,
    folder: asked.folder,
    writeCheckpoint: () => Promise.resolve(),
    openBackend: backendOn(frozen.model.on, undefined, frozen.tensorflow),
    signal,
  });
}

/** Of what takes the steps: fewer of the CPU's are enough. */
async function secondsOfStep(trainer: Trainer, signal: AbortSignal): Promise<number> {
  const { warmUp, timed } = trainer.backend.readSteps === 1 ? stepsOnCpu : stepsOnDevice;
  const enough = new AbortController();
  const ends: number[] = [];
  const report = (): void => {
    ends.push(performance.now());
    if (ends.length === warmUp + timed) enough.abort();
  };
  await trainer
    .run({ signal: AbortSignal.any([signal, enough.signal]), report })
    .catch((error: unknown) => {
      if (!enough.signal.aborted || signal.aborted) throw error;
    });
  const [first, last] = [ends[warmUp - 1] ?? NaN, ends.at(-1) ?? NaN];
  return (last - first) / 1000 / timed;
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

/** A source in which every window is this one. */
function repeated(
  window: ActivationWindow,
  { width, windowLength }: ActivationSource,
): ActivationSource {
  return {
    width,
    windowLength,
    windows: 64,
    read: (_first, count) => Promise.resolve(Array.from({ length: count }, () => window)),
  };
}
