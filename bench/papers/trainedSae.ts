import { basename } from 'node:path';
import { openKernelBackend } from '../../src/engine/training/trainingBackends.ts';
import type { Dictionary } from '../../src/saes/dictionary.ts';
import type { ActivationSource } from '../../src/training/activations/activations.ts';
import type { TrainingSettings } from '../../src/training/settings.ts';
import { Trainer, type TrainerParts } from '../../src/training/trainer.ts';
import { frozenFeatures } from './frozenFeatures.ts';

export interface TrainedSae {
  readonly dictionary: Dictionary;
  /** Fraction of features that did not fire in the last `deadTokens` tokens of the training. */
  readonly dead: number;
}

export interface TrainingRequest {
  readonly settings: TrainingSettings;
  readonly source: ActivationSource;
  /** Where its checkpoints are: a training that was stopped goes on, a finished one is only read. */
  readonly folder: string;
  readonly model: NonNullable<Dictionary['model']>;
  /** Weights to begin with; random ones where not given. */
  readonly begin?: NonNullable<TrainerParts['begin']>;
  /** The first so many features, and the decoder bias, stay as they are. */
  readonly frozen?: number;
}

/** Trains an SAE to its end, from wherever it stands. */
export async function trainedSae(
  { settings, source, folder, model, begin, frozen = 0 }: TrainingRequest,
  { signal, log }: { readonly signal: AbortSignal; readonly log: (line: string) => void },
): Promise<TrainedSae> {
  const name = basename(folder);
  const trainer = await Trainer.open({
    ...{ settings, source, folder, signal },
    openBackend: openKernelBackend,
    ...(begin && { begin }),
  });
  const restore = frozen > 0 ? frozenFeatures(trainer.backend.arrays, frozen) : undefined;
  try {
    await trainer.run({
      signal,
      afterStep: () => {
        restore?.();
        return Promise.resolve();
      },
      report: ({ step, steps, ev, dead, tokensPerSecond }) => {
        if (step % 50 !== 0 && step !== steps) return;
        const percent = (100 * dead).toFixed(1);
        log(
          `${name}: step ${step}/${steps}, ev ${ev.toFixed(4)}, dead ${percent} %, ${tokensPerSecond.toFixed(0)} tokens/s`,
        );
      },
    });
    const { sinceFired } = trainer.backend.arrays;
    const dead = sinceFired.reduce((sum, since) => sum + Number(since >= settings.deadTokens), 0);
    const provenance = { training_architecture: settings.objective };
    return {
      dictionary: trainer.dictionary({ name, model, provenance }),
      dead: dead / settings.features,
    };
  } finally {
    await trainer.dispose();
  }
}
