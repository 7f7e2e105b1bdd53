import type { Corpus } from './describedCorpus.ts';
import { findExamples } from './featureExamples.ts';
import { firingsOf, type FeatureIndex, type Firings } from './featureIndex.ts';
import {
  exampleCount,
  exampleLength,
  histogramBins,
  tellingTokenCount,
  topTokenCount,
  type FeatureTable,
} from './featureTable.ts';

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
    const fired = firingsOf(index, feature);
    measures.density[feature] = fired.positions.length / corpus.counted;
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

/** One token's part in a feature. */
interface TokenShare {
  readonly id: number;
  /** Of the feature's summed activation. */
  readonly share: number;
  /** Mean activation on this token, where active. */
  readonly mean: number;
}

/** The tokens on which a feature fires, by descending share. */
function tokensOf({ positions, activations }: Firings, corpus: Corpus): TokenShare[] {
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
