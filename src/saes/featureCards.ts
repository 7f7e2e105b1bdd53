import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { FeatureCard, FeatureExample, FeatureLabels } from '../contracts/engine.ts';
import { tokensLabel } from './featureLabel.ts';
import {
  exampleCount,
  exampleLength,
  histogramBins,
  promotedCount,
  readFeatureTable,
  tellingTokenCount,
  topTokenCount,
  type FeatureTable,
} from './featureTable.ts';

/** What a hover and the feature panel say of an SAE's features. */
export class FeatureCards {
  readonly labels: FeatureLabels;
  private readonly table: FeatureTable;
  private readonly tokenText: (id: number) => string;

  constructor(table: FeatureTable, tokenText: (id: number) => string) {
    this.table = table;
    this.tokenText = tokenText;
    const labels = Array.from(table.density, (_, feature) => this.label(feature));
    this.labels = { density: table.density, labels, convention: table.about.convention };
  }

  /** Undefined where there is no such feature. */
  card(feature: number): FeatureCard | undefined {
    const { table } = this;
    const density = table.density[feature];
    if (density === undefined) return undefined;
    const bins = feature * histogramBins;
    return {
      feature,
      label: this.labels.labels[feature] ?? '',
      density,
      histogram: table.histogram.slice(bins, bins + histogramBins),
      maxActivation: table.maxActivation[feature] ?? 0,
      topTokens: this.topTokens(feature),
      examples: this.examples(feature),
      promoted: this.logits(feature, table.promoted, table.promotedLogits),
      suppressed: this.logits(feature, table.suppressed, table.suppressedLogits),
      convention: table.about.convention,
    };
  }

  private label(feature: number): string {
    const { tellingTokens, tellingWeights } = this.table;
    const at = feature * tellingTokenCount;
    const tokens = Array.from(tellingTokens.subarray(at, at + tellingTokenCount), (id, i) => ({
      id,
      weight: tellingWeights[at + i] ?? 0,
    })).filter(({ weight }) => weight > 0);
    return tokensLabel(tokens.map(({ id, weight }) => ({ token: this.tokenText(id), weight })));
  }

  private topTokens(feature: number): FeatureCard['topTokens'][number][] {
    const { topTokens, topTokenShares, topTokenMeans } = this.table;
    const at = feature * topTokenCount;
    return Array.from({ length: topTokenCount }, (_, i) => ({
      token: this.tokenText(topTokens[at + i] ?? 0),
      share: topTokenShares[at + i] ?? 0,
      mean: topTokenMeans[at + i] ?? 0,
    })).filter(({ mean }) => mean > 0);
  }

  private examples(feature: number): FeatureExample[] {
    const { exampleLengths, exampleTokens, exampleActivations, exampleSources, about } = this.table;
    const examples: FeatureExample[] = [];
    for (let i = feature * exampleCount; i < (feature + 1) * exampleCount; i++) {
      const length = Math.min(exampleLengths[i] ?? 0, exampleLength);
      if (length === 0) continue;
      const [from, to] = [i * exampleLength, i * exampleLength + length];
      examples.push({
        tokens: Array.from(exampleTokens.subarray(from, to), id => this.tokenText(id)),
        activations: exampleActivations.slice(from, to),
        source: about.sources[exampleSources[i] ?? 0] ?? '',
      });
    }
    return examples;
  }

  private logits(
    feature: number,
    ids: Uint32Array,
    logits: Float32Array,
  ): FeatureCard['promoted'][number][] {
    const at = feature * promotedCount;
    return Array.from(ids.subarray(at, at + promotedCount), (id, i) => ({
      token: this.tokenText(id),
      logit: logits[at + i] ?? 0,
    })).filter(({ logit }) => logit !== 0); // all are 0 where the decoder's rows are not read by the unembedding
  }
}

/**
 * The cards beside the SAE at `path` (its folder, or a file in it); undefined where none were made. `vocabulary` and
 * `tokenText` are the model's: ids beyond it are refused before they are looked up.
 */
export async function readFeatureCards(
  path: string,
  features: number,
  tokenizer: { readonly vocabulary: number; tokenText(id: number): string },
): Promise<FeatureCards | undefined> {
  const folder = (await stat(path)).isDirectory() ? path : dirname(path);
  const table = await readFeatureTable(folder, features);
  const tokenText = (id: number) =>
    id < tokenizer.vocabulary ? tokenizer.tokenText(id) : `#${id}`;
  return table && new FeatureCards(table, tokenText);
}
