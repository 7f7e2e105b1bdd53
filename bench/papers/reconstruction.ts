import type { SaeRunner } from '../../src/engine/saes/saeRunner.ts';
import { excludedTokens } from '../../src/saes/tokenPolicy.ts';
import type { ActivationSource } from '../../src/training/activations/activations.ts';

/** How an SAE reconstructs from its k strongest features, for every k = 1..K (at index k - 1). */
export interface ReconstructionAtEveryK {
  readonly tokens: number;
  /** 1 - sum |x - xhat_k|^2 / sum |x - mean(x)|^2 */
  readonly ev: readonly number[]; // (K)
  /** Mean number of features above 0 among the k strongest. */
  readonly l0: readonly number[]; // (K)
  /** Fraction of features that are on no token among the k strongest. */
  readonly dead: readonly number[]; // (K)
}

/** Measures all windows of a source in one pass, leaving out what the SAE's token policy leaves out. */
export async function reconstructionAtEveryK(
  sae: SaeRunner,
  source: ActivationSource,
  signal?: AbortSignal,
): Promise<ReconstructionAtEveryK> {
  const { width: F, inputWidth: D, tokenPolicy } = sae.dictionary;
  const K = sae.maxK;
  const errors = new Float64Array(K);
  const active = new Float64Array(K); // tokens on which the feature of rank j is above 0
  const firstRank = new Uint32Array(F).fill(K); // best rank of each feature on any token
  const sum = new Float64Array(D);
  let [tokens, squares] = [0, 0];
  for (let w = 0; w < source.windows; w++) {
    for (const { activations: x } of await source.read(w, 1, signal)) {
      const excluded = excludedTokens(x, D, true, tokenPolicy);
      const encoding = await sae.encode(x);
      const { squaredError } = sae.prefixErrors(x, encoding); // (T, K)
      excluded.forEach((isExcluded, t) => {
        if (isExcluded) return;
        tokens++;
        for (let d = 0; d < D; d++) {
          const value = x[t * D + d] ?? 0;
          sum[d] = (sum[d] ?? 0) + value;
          squares += value * value;
        }
        for (let j = 0; j < K; j++) {
          errors[j] = (errors[j] ?? 0) + (squaredError[t * K + j] ?? NaN);
          if (!((encoding.activations[t * K + j] ?? 0) > 0)) continue;
          active[j] = (active[j] ?? 0) + 1;
          const f = encoding.features[t * K + j] ?? 0;
          firstRank[f] = Math.min(firstRank[f] ?? K, j);
        }
      });
    }
  }
  const variation = squares - sum.reduce((total, s) => total + s * s, 0) / tokens;
  const perRank = new Float64Array(K + 1);
  firstRank.forEach(rank => (perRank[rank] = (perRank[rank] ?? 0) + 1));
  return {
    tokens,
    ev: Array.from(errors, error => 1 - error / variation),
    l0: runningSum(active).map(count => count / tokens),
    dead: runningSum(perRank.subarray(0, K)).map(alive => 1 - alive / F),
  };
}

function runningSum(values: Float64Array): number[] {
  let sum = 0;
  return Array.from(values, value => (sum += value));
}
