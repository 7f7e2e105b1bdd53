import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../../../scripts/targets.ts';
import { integer, text, texts } from '../../../src/cli/arguments.ts';
import { arms } from './arms.ts';
import type { Cell, Settings } from './cell.ts';
import type { TextRequest } from './text.ts';

export interface Experiment {
  readonly out: string;
  readonly results: string;
  readonly settings: Settings;
  readonly cells: readonly Cell[];
  readonly textRequest: Omit<TextRequest, 'signal' | 'log'>;
  readonly threads: number;
  readonly processes: number;
  readonly reportOnly: boolean;
  readonly speedRounds: number;
}

/** The experiment that the options of main.ts describe. */
export function experimentOf(args: string[]): Experiment {
  const { values } = parseArgs({
    args,
    options: {
      ...Object.fromEntries(
        ['text', 'heldout'].map(name => [name, { type: 'string' as const, multiple: true }]),
      ),
      ...Object.fromEntries(
        [
          ...['out', 'results', 'arms', 'seeds', 'ablation-seeds', 'tokens', 'heldout-tokens'],
          ...['vocabulary', 'layers', 'width', 'window', 'windows', 'threads', 'processes'],
          'speed-rounds',
        ].map(name => [name, { type: 'string' as const }]),
      ),
      'report-only': { type: 'boolean' },
    },
  });
  const number = (name: string, otherwise: number, min = 1): number =>
    integer(values, name, { min, max: 2 ** 31 }) ?? otherwise;
  const out = resolve(text(values, 'out') ?? join(root, 'out/papers/lime'));
  const [length, windows, width] = [
    number('window', 256),
    number('windows', 4),
    number('width', 128),
  ];
  const steps = Math.floor(number('tokens', 800_000) / (length * windows));
  const [heads, vocabulary] = [4, number('vocabulary', 2048)];
  const heldOutWindows = Math.floor(number('heldout-tokens', 102_400) / length);
  const settings: Settings = {
    shape: {
      layers: number('layers', 8),
      ...{ width, feedForward: 3 * width, heads, keyValueHeads: heads, headWidth: width / heads },
      ...{ vocabulary, contextLength: length, ropeTheta: 10000, normEpsilon: 1e-5 },
      tiedEmbedding: true,
    },
    ...{ windows, steps, heldOutWindows },
    warmUp: Math.ceil(steps / 20),
    leastRate: 0.01,
    soonWindows: 32,
    every: Math.ceil(steps / 12),
  };
  const chosen = text(values, 'arms')?.split(',') ?? arms.map(({ name }) => name);
  return {
    ...{ out, settings },
    results: resolve(text(values, 'results') ?? join(root, 'docs/results')),
    cells: cellsOf(chosen, number('seeds', 3), number('ablation-seeds', 2, 0)),
    textRequest: {
      ...{ folder: out, text: texts(values, 'text'), heldOut: texts(values, 'heldout') },
      ...{ vocabulary, length: length + 1, trainWindows: steps * windows, heldOutWindows },
    },
    threads: number('threads', 1),
    processes: number('processes', 2),
    reportOnly: values['report-only'] === true,
    speedRounds: number('speed-rounds', 12, 0),
  };
}

/** Those that say most first: the two main arms a seed or two ahead of the ablations of the routers. */
function cellsOf(names: readonly string[], seeds: number, ablationSeeds: number): Cell[] {
  const isMain = (name: string): boolean => name === 'lime' || name === 'llama';
  return names
    .flatMap(arm =>
      Array.from({ length: isMain(arm) ? seeds : ablationSeeds }, (_, seed) => ({
        ...{ arm, seed, rank: isMain(arm) ? seed : seed + 1.5 },
      })),
    )
    .sort((a, b) => a.rank - b.rank)
    .map(({ arm, seed }) => ({ arm, seed }));
}
