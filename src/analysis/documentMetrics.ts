import type { TokenRun } from './analyzedTokens.ts';

/** What is counted over all tokens of a document, for every k and every domain at once. */
export interface DocumentCounts {
  readonly tokens: number;
  readonly excluded: number;
  /** Included tokens on which all K features of the base fire: more may fire there than are kept. */
  readonly full: number;
  /** Mean number of active features per included token when the base's k strongest are kept; index k - 1. */
  readonly l0ByK: Float64Array; // (K)
  /** The same of each domain. */
  readonly domainL0: readonly number[]; // (n)
  /** Mean surprisal in nats over the tokens that have one; NaN where none has. */
  readonly crossEntropy: number;
}

/** Counts the tokens held; all sums are float64. */
export function countTokens(runs: readonly TokenRun[], maxK: number): DocumentCounts {
  const counts = { tokens: 0, excluded: 0, full: 0 };
  const activeAtRank = new Float64Array(maxK);
  const activeOfDomain = new Float64Array(runs[0]?.part.domains.length ?? 0);
  const surprisal = { sum: 0, count: 0 };
  for (const run of runs) {
    for (let row = run.from; row < run.to; row++) {
      counts.tokens++;
      const nats = run.part.surprisal[row] ?? NaN;
      if (!Number.isNaN(nats)) {
        surprisal.sum += nats;
        surprisal.count++;
      }
      if (run.part.excluded[row] === 1) {
        counts.excluded++;
        continue;
      }
      const active = activeIn(run.part, row);
      if (active === maxK) counts.full++;
      for (let rank = 0; rank < Math.min(active, maxK); rank++) {
        activeAtRank[rank] = (activeAtRank[rank] ?? 0) + 1;
      }
      run.part.domains.forEach((domain, d) => {
        activeOfDomain[d] = (activeOfDomain[d] ?? 0) + activeIn(domain, row);
      });
    }
  }
  const included = counts.tokens - counts.excluded;
  const perToken = (sum: number): number => (included === 0 ? 0 : sum / included);
  return {
    ...counts,
    l0ByK: runningSum(activeAtRank).map(perToken),
    domainL0: Array.from(activeOfDomain, perToken),
    crossEntropy: surprisal.count === 0 ? NaN : surprisal.sum / surprisal.count,
  };
}

interface Ranked {
  readonly k: number;
  readonly activations: Float32Array; // (t, k), in descending order
}

function activeIn({ activations, k }: Ranked, row: number): number {
  let rank = 0;
  while (rank < k && (activations[row * k + rank] ?? 0) > 0) rank++;
  return rank;
}

function runningSum(values: Float64Array): Float64Array {
  let sum = 0;
  return values.map(value => (sum += value));
}
