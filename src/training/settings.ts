import { Failure } from '../common/failure.ts';
import type { Hook } from '../contracts/hooks.ts';
import type { Base } from '../saes/dictionary.ts';
import type { ObjectiveName } from './objective.ts';

/** Everything that decides what a training gives: same settings, text and threads, same bits. */
export interface TrainingSettings {
  readonly hook: Hook;
  readonly features: number; // F
  readonly k: number; // K, the largest k
  readonly objective: ObjectiveName;
  /** The prefixes that the hierarchical objective counts; all of 1..K where not given. */
  readonly budgets: readonly number[] | undefined;
  /** The frozen SAE whose error is the target: makes the trained one a residual SAE. */
  readonly base?: Base | undefined;
  /** Of the text, where a training is not to go on with another. */
  readonly textHash?: string | undefined;
  /** What one firing feature counts in the loss of jumprelu; found by the training, towards an L0 of K, where not given. */
  readonly sparsityCoefficient?: number | undefined;
  readonly batch: number; // B
  /** Tokens to train on, counted with repetition when the text is shorter. */
  readonly tokens: number;
  readonly learningRate: number;
  readonly minimumLearningRate: number;
  /** Share of the steps in which the learning rate rises. */
  readonly warmup: number;
  readonly weightDecay: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** AuxK: how many dead features explain each sample's error (0: none), and what that counts in the loss. */
  readonly auxiliaryK: number;
  readonly auxiliaryCoefficient: number;
  /** A feature is dead when it has not fired in so many tokens. */
  readonly deadTokens: number;
  /** Whether decoder rows are kept at length 1. */
  readonly unitDecoder: boolean;
  readonly seed: number;
  readonly threads: number;
  /** Activations are shuffled within rounds of this many bytes. */
  readonly roundBytes: number;
  /** Windows that are never trained on, for the explained variance on unseen text. */
  readonly heldOutWindows: number;
}

export function stepsOf({ tokens, batch }: Pick<TrainingSettings, 'tokens' | 'batch'>): number {
  return Math.max(1, Math.floor(tokens / batch));
}

/** Defaults after KronSAE (arXiv 2505.22255, appendix) and Gao et al. (arXiv 2406.04093, appendix A). */
export const defaultSettings = {
  objective: 'hierarchical',
  budgets: undefined,
  batch: 1024,
  learningRate: 8e-4,
  minimumLearningRate: 1e-6,
  warmup: 0.1,
  weightDecay: 0,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  auxiliaryK: 64,
  auxiliaryCoefficient: 1 / 32,
  deadTokens: 500_000,
  unitDecoder: false,
  seed: 0,
  roundBytes: 2 ** 29,
  heldOutWindows: 16,
} as const satisfies Partial<TrainingSettings>;

/** What may change when a training is taken up again: the learning rate follows the new length from there on. */
const changeable: ReadonlySet<keyof TrainingSettings> = new Set(['tokens', 'threads']);

/** Throws `mismatch` where the training in the folder was begun with settings that decide of another result. */
export function refuseOtherSettings(
  saved: TrainingSettings,
  asked: TrainingSettings,
  folder: string,
): void {
  for (const key of Object.keys(asked) as (keyof TrainingSettings)[]) {
    if (changeable.has(key)) continue;
    const [before, now] = [saved[key], asked[key]].map(value => JSON.stringify(value ?? 'none'));
    if (before === now) continue;
    const difference =
      key === 'textHash'
        ? 'on another text'
        : `with ${key} = ${String(before)}, not ${String(now)}`;
    throw new Failure('mismatch', `The training in ${folder} was begun ${difference}.`, {
      action: 'Give the same options to resume it, or train into another folder.',
    });
  }
}
