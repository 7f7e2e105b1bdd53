import type { TokenRun } from './analyzedTokens.ts';

/** Sums over a document's included tokens from which EV follows for every k and every subset of the domains. */
export interface ErrorSums {
  /** Sum of |x - xhat_k|^2; index k - 1. */
  readonly squaredError: Float64Array; // (K)
  /** Sums of e_k . ehat_d of each domain; index k - 1. */
  readonly products: readonly Float64Array[]; // n times (K)
  /** Sum of ehat_a . ehat_b. */
  readonly gram: Float64Array; // (n, n)
  /** Sum of |x - mean(x)|^2; NaN below two tokens. */
  readonly variance: number;
}

/**
 * Adds up in float64. A part counts only while all its tokens are held: its sum of x cannot be divided among them.
 */
export function sumErrors(runs: readonly TokenRun[], maxK: number): ErrorSums {
  const whole = runs.filter(run => run.from === 0 && run.to === run.part.starts.length);
  const n = whole[0]?.part.domains.length ?? 0;
  const squaredError = new Float64Array(maxK);
  const products = Array.from({ length: n }, () => new Float64Array(maxK));
  const gram = new Float64Array(n * n);
  const sum = new Float64Array(whole[0]?.part.sum.length ?? 0); // (D)
  let squaredNorm = 0;
  let included = 0;
  for (const { part } of whole) {
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (part.sum[i] ?? 0);
    for (let row = 0; row < part.starts.length; row++) {
      if (part.excluded[row] === 1) continue;
      included++;
      squaredNorm += part.squaredNorm[row] ?? 0;
      addRanks(squaredError, part.squaredError, row, part.k);
      products.forEach((to, d) => {
        addRanks(to, part.domains[d]?.products ?? new Float32Array(), row, part.k);
      });
      for (let i = 0; i < gram.length; i++) {
        gram[i] = (gram[i] ?? 0) + (part.gram[row * gram.length + i] ?? 0);
      }
    }
  }
  const variance = squaredNorm - sum.reduce((total, x) => total + x * x, 0) / included;
  const isKnown = included >= 2 && variance > 0;
  return { squaredError, products, gram, variance: isKnown ? variance : NaN };
}

/** Adds a row of (t, K); a part with fewer ranks has the value of its last for those beyond it. */
function addRanks(to: Float64Array, values: Float32Array, row: number, K: number): void {
  for (let rank = 0; rank < to.length; rank++) {
    to[rank] = (to[rank] ?? 0) + (values[row * K + Math.min(rank, K - 1)] ?? 0);
  }
}

/**
 * Explained variance 1 - sum |x - xhat_k - sum of ehat|^2 / sum |x - mean(x)|^2 with these domains on (SAE Boost, arXiv
 * 2507.12990), index k - 1; NaN below two tokens.
 */
export function evByK(sums: ErrorSums, on: readonly number[]): Float64Array {
  const { squaredError, products, gram, variance } = sums;
  const n = products.length;
  let added = 0;
  for (const a of on) for (const b of on) added += gram[a * n + b] ?? 0;
  return squaredError.map((base, rank) => {
    let error = base;
    for (const d of on) error -= 2 * (products[d]?.[rank] ?? 0);
    return 1 - (error + added) / variance;
  });
}
