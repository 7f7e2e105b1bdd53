import { Failure } from '../../common/failure.ts';
import type { CollapseResult, LayerCollapse, PlaceCollapse } from '../../contracts/collapse.ts';
import { FeatureMoments } from '../../lime/featureMoments.ts';
import { epochsFor, spread } from '../../lime/linearSeparability.ts';
import { matrixEntropy } from '../../lime/matrixEntropy.ts';
import { evenlySpread } from '../../training/activations/evenlySpread.ts';
import { wordPlaces, type WordPlaces, wordTokens } from './closeWords.ts';
import { type LayerPlace, layerPlaces, type MeasuredModel, windowRows } from './collapseRows.ts';
import { folds, measureSeparability, projectWords } from './collapseOfWords.ts';
import { pause } from '../pause.ts';

export interface CollapseOptions {
  /** Whole windows, one after the other. */
  readonly tokenIds: Uint32Array;
  readonly windowLength: number; // T
  readonly words: readonly string[];
  readonly alpha: number;
  /** Most windows whose entropy is measured; the normalisation is over all. */
  readonly samples: number;
  /** Of the classifiers' training; where it is not given, as many as take the authors' number of steps. */
  readonly epochs?: number;
  readonly seed: number;
  /** Layers of which the words' tokens are laid out in a plane, and how many tokens of each place at most. */
  readonly projected?: readonly number[];
  readonly points?: number;
  readonly signal?: AbortSignal;
  readonly report?: (step: string, fraction: number) => void;
}

/** Bytes of words' rows that are kept, of all layers together. */
const mostKept = 2 ** 28;

/**
 * Measures how far the layers of a model tell tokens apart, on values and on hidden states: one run over the text for the
 * mean and the deviation of every feature and the words' rows, another of some windows for their entropy. Besides the
 * words' rows (at most 256 MiB) one window of all layers is in memory.
 */
export async function measureCollapse(
  model: MeasuredModel,
  options: CollapseOptions,
): Promise<CollapseResult> {
  const { tokenIds, windowLength, alpha, seed } = options;
  check(model, options);
  const places = layerPlaces(model.config);
  const rowBytes = 4 * places.reduce((sum, { width }) => sum + width, 0);
  const words = wordTokens(options.words, model.tokenizer);
  const chosen = wordPlaces(
    tokenIds,
    words,
    Math.floor(mostKept / rowBytes / Math.max(words.size, 1)),
  );
  const { moments, rows } = await readText(model, places, chosen, options);
  const entropies = await measureEntropies(model, places, moments, options);
  const all = words.size * chosen.perWord;
  const epochs = options.epochs ?? (all > 0 ? epochsFor(all, folds) : 0);
  const separabilities = await measureSeparability(places, chosen, rows, { ...options, epochs });
  const projections = await projectWords(places, chosen, rows, options);
  const at = (layer: number): LayerCollapse => ({
    values: measured(2 * layer),
    hiddenStates: measured(2 * layer + 1),
  });
  const measured = (index: number): PlaceCollapse => ({
    entropy: spread(entropies[index] ?? []),
    separability: separabilities[index] ?? null,
  });
  const samples = entropies[0]?.length ?? 0;
  return {
    model: model.info.name,
    architecture: model.config.architecture,
    tokens: tokenIds.length,
    windowLength,
    samples,
    alpha,
    words: chosen.words,
    perWord: chosen.perWord,
    chance: words.size > 0 ? 1 / words.size : null,
    folds,
    epochs,
    seed,
    layers: Array.from({ length: model.config.layers }, (_, layer) => at(layer)),
    projections,
    convention: convention(model, options, { samples, perWord: chosen.perWord, epochs }),
  };
}

function check(model: MeasuredModel, options: CollapseOptions): void {
  const { tokenIds, windowLength, alpha, projected = [] } = options;
  if (tokenIds.length === 0 || tokenIds.length % windowLength !== 0 || windowLength < 2) {
    throw new Failure(
      'empty',
      `The text gives ${tokenIds.length} tokens in windows of ${windowLength}; at least one whole window of 2 tokens is needed.`,
    );
  }
  if (!(alpha > 0)) throw new Failure('usage', `Alpha is ${alpha}; expected a number above 0.`);
  const { layers } = model.config;
  const strange = projected.find(layer => !Number.isInteger(layer) || layer < 0 || layer >= layers);
  if (strange === undefined) return;
  throw new Failure('usage', `There is no layer ${strange}: expected 0 to ${layers - 1}.`);
}

/** The moments of every feature, and the words' rows (words * perWord, width), of each place. */
async function readText(
  model: MeasuredModel,
  places: readonly LayerPlace[],
  { positions }: WordPlaces,
  { tokenIds, windowLength, signal, report }: CollapseOptions,
): Promise<{ moments: FeatureMoments[]; rows: Float32Array[] }> {
  const moments = places.map(({ width }) => new FeatureMoments(width));
  const rows = places.map(({ width }) => new Float32Array(positions.length * width));
  for (let start = 0; start < tokenIds.length; start += windowLength) {
    const end = start + windowLength;
    const window = await windowRows(model, places, tokenIds.subarray(start, end), signal);
    const inside = [...positions.entries()].filter(([, at]) => at >= start && at < end);
    for (const [i, { width }] of places.entries()) {
      const here = window[i] ?? new Float32Array();
      moments[i]?.add(here);
      for (const [n, position] of inside) {
        const from = (position - start) * width;
        rows[i]?.set(here.subarray(from, from + width), n * width);
      }
    }
    report?.('Reading the text', end / tokenIds.length);
    await pause(signal);
  }
  return { moments, rows };
}

/** Entropies of the sampled windows, of each place. */
async function measureEntropies(
  model: MeasuredModel,
  places: readonly LayerPlace[],
  moments: readonly FeatureMoments[],
  { tokenIds, windowLength, alpha, samples, signal, report }: CollapseOptions,
): Promise<number[][]> {
  const entropies = places.map((): number[] => []);
  const windows = evenlySpread(samples, tokenIds.length / windowLength);
  for (const [done, index] of windows.entries()) {
    const ids = tokenIds.subarray(index * windowLength, (index + 1) * windowLength);
    const window = await windowRows(model, places, ids, signal);
    for (const [i, { width }] of places.entries()) {
      const normalised = moments[i]?.normalised(window[i] ?? new Float32Array());
      entropies[i]?.push(matrixEntropy(normalised ?? new Float64Array(), width, alpha));
      report?.('Measuring entropy', (done + (i + 1) / places.length) / windows.length);
      await pause(signal);
    }
  }
  return entropies;
}

function convention(
  { config }: MeasuredModel,
  { windowLength, alpha, tokenIds, words }: CollapseOptions,
  { samples, perWord, epochs }: { samples: number; perWord: number; epochs: number },
): string {
  const routed = config.architecture === 'lime' ? ', as the routers mixed them' : '';
  const separability =
    perWord < folds
      ? ` Separability was not measured: it takes at least ${folds} tokens of each of two words or more.`
      : ` Separability: accuracy of a linear classifier of ${words.join(', ')} on ${perWord} tokens of each in ${folds} folds` +
        ` (Adam at 0.01, batches of 64, epochs: ${epochs}); guessing gives ${(1 / words.length).toFixed(2)}.`;
  return [
    `Values: blocks.N.attn.hook_v, of all heads together${routed}; hidden states: blocks.N.hook_resid_post.`,
    ` Entropy: matrix-based Renyi entropy in nats at alpha ${alpha} of windows of ${windowLength} tokens, each feature less`,
    ` its mean and by its deviation over all ${tokenIds.length} tokens; mean and deviation over ${samples} windows.`,
    separability,
  ].join('');
}
