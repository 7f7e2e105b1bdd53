import type { FeatureIndex } from './featureIndex.ts';
import {
  exampleCount,
  exampleLength,
  histogramBins,
  tellingTokenCount,
  topTokenCount,
  type FeatureTable,
} from './featureTable.ts';

/** Text that was run through the model window by window, one source after the other. */
export interface Corpus {
  readonly tokenIds: Uint32Array; // (N)
  /** T: a window of so many tokens was run at a time. */
  readonly windowLength: number;
  /** Tokens that the policy leaves in. */
  readonly counted: number;
  /** Token between documents, which no example crosses. */
  readonly separator: number;
  readonly sources: readonly CorpusSource[];
}

/** A stretch of the corpus, in whole windows. */
export interface CorpusSource {
  readonly name: string;
  readonly firstPosition: number;
  /** Whether its licence lets us show pieces of it. */
  readonly quotable: boolean;
}

export type FeatureMeasures = Omit<
  FeatureTable,
  'promoted' | 'promotedLogits' | 'suppressed' | 'suppressedLogits' | 'about'
>;

/** What an index of a corpus tells of each feature. */
export function measureFeatures(index: FeatureIndex, corpus: Corpus): FeatureMeasures {
  const F = index.starts.length - 1;
  const measures: FeatureMeasures = {
    density: new Float32Array(F),
    maxActivation: new Float32Array(F),
    histogram: new Uint32Array(F * histogramBins),
    topTokens: new Uint32Array(F * topTokenCount),
    topTokenShares: new Float32Array(F * topTokenCount),
    topTokenMeans: new Float32Array(F * topTokenCount),
    tellingTokens: new Uint32Array(F * tellingTokenCount),
    tellingWeights: new Float32Array(F * tellingTokenCount),
    exampleTokens: new Uint32Array(F * exampleCount * exampleLength),
    exampleActivations: new Float32Array(F * exampleCount * exampleLength),
    exampleLengths: new Uint8Array(F * exampleCount),
    exampleSources: new Uint8Array(F * exampleCount),
  };
  const frequencies = tokenFrequencies(corpus.tokenIds);
  for (let feature = 0; feature < F; feature++) {
    const [from = 0, to = 0] = index.starts.subarray(feature, feature + 2);
    const fired: Fired = {
      positions: index.positions.subarray(from, to),
      activations: index.activations.subarray(from, to),
    };
    measures.density[feature] = (to - from) / corpus.counted;
    const max = fired.activations.reduce((most, value) => Math.max(most, value), 0);
    measures.maxActivation[feature] = max;
    const bins = feature * histogramBins;
    for (const value of fired.activations) {
      const bin = bins + Math.min(histogramBins - 1, Math.floor((value / max) * histogramBins));
      measures.histogram[bin] = (measures.histogram[bin] ?? 0) + 1;
    }
    const tokens = tokensOf(fired, corpus);
    writeTopTokens(tokens, measures, feature);
    writeTellingTokens(tokens, frequencies, measures, feature);
    findExamples(fired, corpus, measures, feature);
  }
  return measures;
}

/** Where one feature fired, in ascending position. */
interface Fired {
  readonly positions: Uint32Array;
  readonly activations: Float32Array;
}

/** One token's part in a feature. */
interface TokenShare {
  readonly id: number;
  /** Of the feature's summed activation. */
  readonly share: number;
  /** Mean activation on this token, where active. */
  readonly mean: number;
}

/** The tokens on which a feature fires, by descending share. */
function tokensOf({ positions, activations }: Fired, corpus: Corpus): TokenShare[] {
  const byToken = new Map<number, { mass: number; count: number }>();
  let total = 0;
  positions.forEach((position, i) => {
    const id = corpus.tokenIds[position] ?? 0;
    const activation = activations[i] ?? 0;
    const sums = byToken.get(id) ?? { mass: 0, count: 0 };
    byToken.set(id, sums);
    sums.mass += activation;
    sums.count++;
    total += activation;
  });
  return Array.from(byToken, ([id, { mass, count }]) => ({
    id,
    share: mass / total,
    mean: mass / count,
  })).sort((a, b) => b.share - a.share || a.id - b.id);
}

function writeTopTokens(tokens: readonly TokenShare[], to: FeatureMeasures, feature: number): void {
  tokens.slice(0, topTokenCount).forEach(({ id, share, mean }, i) => {
    const at = feature * topTokenCount + i;
    to.topTokens[at] = id;
    to.topTokenShares[at] = share;
    to.topTokenMeans[at] = mean;
  });
}

/**
 * What is frequent everywhere says little of a feature: a token counts by its term of the Kullback-Leibler divergence
 * between the feature's tokens and the text's.
 */
function writeTellingTokens(
  tokens: readonly TokenShare[],
  frequencies: ReadonlyMap<number, number>,
  to: FeatureMeasures,
  feature: number,
): void {
  const weighted = tokens
    .map(({ id, share }) => ({ id, weight: share * Math.log(share / (frequencies.get(id) ?? 1)) }))
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight || a.id - b.id);
  weighted.slice(0, tellingTokenCount).forEach(({ id, weight }, i) => {
    to.tellingTokens[feature * tellingTokenCount + i] = id;
    to.tellingWeights[feature * tellingTokenCount + i] = weight;
  });
}

/** The fraction of the text that each token makes up. */
function tokenFrequencies(tokenIds: Uint32Array): ReadonlyMap<number, number> {
  const frequencies = new Map<number, number>();
  for (const id of tokenIds) frequencies.set(id, (frequencies.get(id) ?? 0) + 1 / tokenIds.length);
  return frequencies;
}

/** The places where the feature fires most in text that may be quoted, each with what surrounds it. */
function findExamples(fired: Fired, corpus: Corpus, to: FeatureMeasures, feature: number): void {
  const { positions, activations } = fired;
  const order = Array.from(positions.keys())
    .filter(i => corpus.sources[sourceAt(corpus, positions[i] ?? 0)]?.quotable)
    .sort((a, b) => (activations[b] ?? 0) - (activations[a] ?? 0));
  const shown: { from: number; to: number }[] = [];
  const texts = new Set<string>();
  for (const i of order) {
    if (shown.length === exampleCount) break;
    const peak = positions[i] ?? 0;
    if (shown.some(example => peak >= example.from && peak < example.to)) continue;
    const example = surroundings(corpus, peak);
    // Boilerplate would fill all six places with one sentence.
    const text = corpus.tokenIds.subarray(Math.max(example.from, peak - 3), peak + 2).join();
    if (texts.has(text)) continue;
    texts.add(text);
    writeExample(fired, corpus, to, feature * exampleCount + shown.length, example);
    shown.push(example);
  }
}

function writeExample(
  { positions, activations }: Fired,
  corpus: Corpus,
  to: FeatureMeasures,
  at: number,
  example: { from: number; to: number },
): void {
  const tokens = corpus.tokenIds.subarray(example.from, example.to);
  to.exampleTokens.set(tokens, at * exampleLength);
  to.exampleLengths[at] = tokens.length;
  to.exampleSources[at] = sourceAt(corpus, example.from);
  for (let i = lowerBound(positions, example.from); (positions[i] ?? Infinity) < example.to; i++) {
    to.exampleActivations[at * exampleLength + (positions[i] ?? 0) - example.from] =
      activations[i] ?? 0;
  }
}

/** The tokens around a position, all of its window and its document. */
function surroundings(
  { tokenIds, windowLength, separator }: Corpus,
  peak: number,
): { from: number; to: number } {
  const windowStart = Math.floor(peak / windowLength) * windowLength;
  const windowEnd = Math.min(windowStart + windowLength, tokenIds.length);
  const half = Math.floor(exampleLength / 2);
  const latest = Math.max(windowStart, windowEnd - exampleLength);
  let from = Math.min(Math.max(windowStart, peak - half), latest);
  let to = Math.min(from + exampleLength, windowEnd);
  for (let i = peak - 1; i >= from; i--) if (tokenIds[i] === separator) from = i + 1;
  for (let i = to - 1; i > peak; i--) if (tokenIds[i] === separator) to = i;
  return { from, to };
}

function sourceAt({ sources }: Corpus, position: number): number {
  return sources.findLastIndex(source => source.firstPosition <= position);
}

/** The first index whose value is not below `value`. */
function lowerBound(sorted: Uint32Array, value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
