import { baseSource, locateFeature, type FeatureSource } from '../common/featureSources.ts';
import type { FeatureLabels } from '../contracts/engine.ts';
import type { FeatureQuery, FeatureRow } from '../contracts/panels.ts';
import type { TokenRun } from './analyzedTokens.ts';
import { visitKept, type Kept } from './kept.ts';

/** How often and how strongly each feature, of the base and of the domains, fires in a document. */
export interface FeatureStatistics {
  /** Number of included tokens on which the feature is active, (F). */
  readonly tokens: Uint32Array;
  readonly maxActivation: Float32Array; // (F)
}

/** Counts the features that are kept of every included token. */
export function countFeatures(
  runs: readonly TokenRun[],
  kept: Kept,
  features: number,
): FeatureStatistics {
  const tokens = new Uint32Array(features);
  const maxActivation = new Float32Array(features);
  for (const { part, from, to } of runs) {
    for (let row = from; row < to; row++) {
      if (part.excluded[row] === 1) continue;
      visitKept(part, row, kept, (feature, activation) => {
        tokens[feature] = (tokens[feature] ?? 0) + 1;
        if (activation > (maxActivation[feature] ?? 0)) maxActivation[feature] = activation;
      });
    }
  }
  return { tokens, maxActivation };
}

/** The features of a document that a query asks for. */
export interface FeatureSelection {
  readonly rows: readonly FeatureRow[];
  /** How many matched; `rows` holds the first of them. */
  readonly matching: number;
}

/** Searches by number, label or domain, hides those denser than `denseAbove` where asked, and sorts. */
export function selectFeatures(
  statistics: FeatureStatistics,
  labels: FeatureLabels | undefined,
  query: FeatureQuery,
  options: {
    readonly denseAbove: number;
    readonly limit: number;
    readonly sources: readonly FeatureSource[];
  },
): FeatureSelection {
  const matches = matcher(query.search);
  const rows: FeatureRow[] = [];
  statistics.tokens.forEach((tokens, feature) => {
    if (tokens === 0) return;
    const label = labels?.labels[feature] ?? '';
    const density = labels?.density[feature] ?? NaN;
    if (query.hideDense && density > options.denseAbove) return;
    const { source, number = feature } = locateFeature(feature, options.sources) ?? {};
    const domain = source && source.name !== baseSource ? source.name : null;
    if (!matches(number, domain === null ? label : `${label} ${domain}`)) return;
    const maxActivation = statistics.maxActivation[feature] ?? 0;
    rows.push({ feature, number, domain, label, tokens, maxActivation, density });
  });
  rows.sort(orders[query.sort]);
  return { rows: rows.slice(0, options.limit), matching: rows.length };
}

/** A number, with or without #, finds that feature and texts that hold it; words must all be in the text. */
function matcher(search: string): (number: number, text: string) => boolean {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = /^#?(\d+)$/.exec(search.trim())?.[1];
  return (number, text) => {
    if (wanted !== undefined && number === Number(wanted)) return true;
    const lower = text.toLowerCase();
    return words.every(word => lower.includes(word));
  };
}

type Order = (a: FeatureRow, b: FeatureRow) => number;

const byNumber: Order = (a, b) => a.feature - b.feature;
const byStrength: Order = (a, b) => b.maxActivation - a.maxActivation || byNumber(a, b);

const orders: Record<FeatureQuery['sort'], Order> = {
  strongest: byStrength,
  mostTokens: (a, b) => b.tokens - a.tokens || byStrength(a, b),
  // Features of unknown density come last.
  rarest: (a, b) => orInfinity(a.density) - orInfinity(b.density) || byStrength(a, b),
};

function orInfinity(density: number): number {
  return Number.isNaN(density) ? Number.MAX_VALUE : density;
}
