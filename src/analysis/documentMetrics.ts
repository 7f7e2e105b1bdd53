import type { TokenRun } from './analyzedTokens.ts';

/** What is measured over all tokens of a document, for every k at once. */
export interface DocumentMetrics {
  readonly tokens: number;
  readonly excluded: number;
  /** Mean number of active features per included token when the k strongest are kept; index k - 1. */
  readonly l0ByK: Float64Array; // (K)
  /** 1 - sum |x - xhat_k|^2 / sum |x - mean(x)|^2 over the included tokens; index k - 1; NaN below two of them. */
  readonly evByK: Float64Array; // (K)
  /** Mean surprisal in nats over the tokens that have one; NaN where none has. */
  readonly crossEntropy: number;
}

/**
 * Measures the tokens held; all sums are float64. A part counts towards EV only while all its tokens are held: its sum
 * of x cannot be divided among them.
 */
export function measure(runs: readonly TokenRun[], maxK: number): DocumentMetrics {
  const counts = { tokens: 0, excluded: 0 };
  const activeAtRank = new Float64Array(maxK);
  const surprisal = { sum: 0, count: 0 };
  for (const run of runs) {
    for (let row = run.from; row < run.to; row++) {
      counts.tokens++;
      const nats = run.part.surprisal[row] ?? NaN;
      if (!Number.isNaN(nats)) {
        surprisal.sum += nats;
        surprisal.count++;
      }
      if (run.part.excluded[row] === 1) counts.excluded++;
      else countActive(run, row, activeAtRank);
    }
  }
  const included = counts.tokens - counts.excluded;
  return {
    ...counts,
    l0ByK: runningSum(activeAtRank).map(sum => (included === 0 ? 0 : sum / included)),
    evByK: explainedVariance(runs, maxK),
    crossEntropy: surprisal.count === 0 ? NaN : surprisal.sum / surprisal.count,
  };
}

function countActive(run: TokenRun, row: number, activeAtRank: Float64Array): void {
  const { activations, k } = run.part;
  const ranks = Math.min(k, activeAtRank.length);
  for (let rank = 0; rank < ranks; rank++) {
    if ((activations[row * k + rank] ?? 0) <= 0) return; // in descending order
    activeAtRank[rank] = (activeAtRank[rank] ?? 0) + 1;
  }
}

function runningSum(values: Float64Array): Float64Array {
  let sum = 0;
  return values.map(value => (sum += value));
}

function explainedVariance(runs: readonly TokenRun[], maxK: number): Float64Array {
  const squaredError = new Float64Array(maxK); // (K)
  const whole = runs.filter(run => run.from === 0 && run.to === run.part.starts.length);
  const sum = new Float64Array(whole[0]?.part.sum.length ?? 0); // (D)
  let squaredNorm = 0;
  let included = 0;
  for (const { part } of whole) {
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (part.sum[i] ?? 0);
    for (let row = 0; row < part.starts.length; row++) {
      if (part.excluded[row] === 1) continue;
      included++;
      squaredNorm += part.squaredNorm[row] ?? 0;
      for (let rank = 0; rank < maxK; rank++) {
        // A part with fewer ranks has the error of its last for those beyond it.
        const error = part.squaredError[row * part.k + Math.min(rank, part.k - 1)] ?? 0;
        squaredError[rank] = (squaredError[rank] ?? 0) + error;
      }
    }
  }
  const variance = squaredNorm - sum.reduce((total, x) => total + x * x, 0) / included;
  if (included < 2 || !(variance > 0)) return squaredError.fill(NaN);
  return squaredError.map(error => 1 - error / variance);
}
