import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { evaluate, type EvaluatedModel } from '../../../src/engine/analysis/evaluate.ts';
import { SaeRunner } from '../../../src/engine/saes/saeRunner.ts';
import type { Dictionary } from '../../../src/saes/dictionary.ts';
import type { ActivationSource } from '../../../src/training/activations/activations.ts';
import { reconstructionAtEveryK } from '../reconstruction.ts';
import { writeText } from '../report.ts';
import type { TrainedSae } from '../trainedSae.ts';
import { powersOfTwo } from './contenders.ts';

/** What the model loses at one k, or at a threshold. */
export interface CrossEntropy {
  /** Nats above the clean model's. */
  readonly delta: number;
  /** (zero - SAE) / (zero - clean) */
  readonly score: number;
}

/** One SAE on held-out text. */
export interface Measures {
  readonly contender: string;
  readonly seed: number;
  /** Fraction of features dead at the end of the training. */
  readonly deadInTraining: number;
  /** From the k strongest features, whatever the SAE was trained for. */
  readonly strongest: {
    /** At k = 1, 2, 3, ... */
    readonly ev: readonly number[];
    /** At powers of two. */
    readonly dead: Readonly<Record<number, number>>;
    readonly ce: Readonly<Record<number, CrossEntropy>>;
  };
  /** From whatever is above its own threshold, in a BatchTopK SAE. */
  readonly threshold?: {
    readonly l0: number;
    readonly ev: number;
    readonly dead: number;
    readonly ce: CrossEntropy;
  };
}

/** What all SAEs are measured on, and how far. */
export interface Yardstick {
  readonly model: EvaluatedModel;
  /** Held-out activations, for EV. */
  readonly source: ActivationSource;
  /** Held-out tokens in whole windows, for CE. */
  readonly tokenIds: Uint32Array;
  /** EV is measured at 1..evK, CE at powers of two from 4 to ceK. */
  readonly evK: number;
  readonly ceK: number;
  readonly threads: number;
  readonly signal: AbortSignal;
}

/** Features looked at on a token where a threshold decides. */
const maxActive = 512;

/** Measures an SAE, if there is one, or reads what was measured in the same way before. */
export async function measured(
  train: () => Promise<TrainedSae | undefined>,
  { contender, seed }: Pick<Measures, 'contender' | 'seed'>,
  yardstick: Yardstick,
  folder: string,
): Promise<Measures | undefined> {
  const path = join(folder, 'measures.json');
  const { source, tokenIds, evK, ceK } = yardstick;
  const basis = JSON.stringify([source.windows, tokenIds.length, evK, ceK]);
  const kept = await readFile(path, 'utf8').then(
    json => JSON.parse(json) as { readonly basis: string; readonly measures: Measures },
    () => undefined,
  );
  if (kept?.basis === basis) return kept.measures;
  const sae = await train();
  if (!sae) return undefined;
  const { dictionary, dead } = sae;
  const measures: Measures = {
    ...{ contender, seed, deadInTraining: dead },
    strongest: await measureStrongest(dictionary, yardstick),
    ...(dictionary.rule.kind === 'jumprelu' && {
      threshold: await measureThreshold(dictionary, yardstick),
    }),
  };
  await writeText(path, JSON.stringify({ basis, measures }));
  return measures;
}

/** By the same pre-activations, but the k largest of them at any k, as an SAE of a fixed k would not be used. */
async function measureStrongest(
  dictionary: Dictionary,
  yardstick: Yardstick,
): Promise<Measures['strongest']> {
  const { evK, ceK } = yardstick;
  const rule = { kind: 'topk', maxK: evK } as const;
  return withRunner({ ...dictionary, rule }, evK, yardstick, async runner => {
    const { ev, dead } = await reconstructionAtEveryK(runner, yardstick.source, yardstick.signal);
    return {
      ev,
      dead: Object.fromEntries(powersOfTwo(1, evK).map(k => [k, dead[k - 1] ?? NaN])),
      ce: await crossEntropies(runner, powersOfTwo(4, ceK), yardstick),
    };
  });
}

async function measureThreshold(
  dictionary: Dictionary,
  yardstick: Yardstick,
): Promise<NonNullable<Measures['threshold']>> {
  return withRunner(dictionary, maxActive, yardstick, async runner => {
    const { ev, l0, dead } = await reconstructionAtEveryK(
      runner,
      yardstick.source,
      yardstick.signal,
    );
    const last = (values: readonly number[]): number => values.at(-1) ?? NaN;
    const ce = (await crossEntropies(runner, [runner.maxK], yardstick))[runner.maxK];
    return {
      ...{ l0: last(l0), ev: last(ev), dead: last(dead) },
      ce: ce ?? { delta: NaN, score: NaN },
    };
  });
}

async function crossEntropies(
  runner: SaeRunner,
  ks: readonly number[],
  { model, tokenIds, source, signal }: Yardstick,
): Promise<Record<number, CrossEntropy>> {
  const { windowLength } = source;
  const { results } = await evaluate(model, runner, { tokenIds, windowLength, ks, signal });
  return Object.fromEntries(results.map(({ k, ce: { delta, score } }) => [k, { delta, score }]));
}

async function withRunner<T>(
  dictionary: Dictionary,
  maxK: number,
  { threads }: Yardstick,
  work: (runner: SaeRunner) => Promise<T>,
): Promise<T> {
  const runner = await SaeRunner.open(dictionary, { threads, maxActive: maxK });
  try {
    return await work(runner);
  } finally {
    await runner.dispose();
  }
}
