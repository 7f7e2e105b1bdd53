import type { Encoding } from './reconstruct.ts';

/** How well an SAE reconstructs with its k strongest features. */
export interface ReconstructionFigures {
  /** 1 - sum |x - xhat|^2 / sum |x - mean(x)|^2, with the mean over all counted tokens. */
  readonly ev: number;
  /** Mean over tokens of |x - xhat|^2, summed over the D dimensions. */
  readonly mse: number;
  /** Mean over tokens of the cosine of x and xhat; 0 where either is 0. */
  readonly cosine: number;
  /** Mean number of active features. */
  readonly l0: number;
  /** Fraction of features that were active on no counted token. */
  readonly dead: number;
}

interface SumsAtK {
  squaredError: number;
  cosine: number;
  active: number;
  readonly fired: Uint8Array; // (F)
}

/**
 * Streaming sums of reconstruction quality at several k, in float64, over the tokens that are not excluded. Source of
 * the formulas: SAELens `evals.py`, `ExplainedVarianceCalculator` and `get_sparsity_and_variance_metrics`.
 */
export class ReconstructionStatistics {
  /** Counted tokens. */
  tokens = 0;
  private squaredNorm = 0;
  private readonly sum: Float64Array; // (D), of x
  private readonly atK = new Map<number, SumsAtK>();
  private readonly inputWidth: number;
  private readonly width: number;

  constructor(inputWidth: number, width: number) {
    this.inputWidth = inputWidth;
    this.width = width;
    this.sum = new Float64Array(inputWidth);
  }

  /** Counts the tokens of `x` (T, D) that are not excluded (T). */
  addTokens(x: Float32Array, excluded: Uint8Array): void {
    const { inputWidth: D, sum } = this;
    for (let t = 0; t < excluded.length; t++) {
      if (excluded[t]) continue;
      this.tokens++;
      for (let d = 0; d < D; d++) {
        const value = x[t * D + d] ?? 0;
        sum[d] = (sum[d] ?? 0) + value;
        this.squaredNorm += value * value;
      }
    }
  }

  /** Counts the reconstruction (T, D) of the same tokens from their k strongest features. */
  addReconstruction(
    k: number,
    x: Float32Array,
    reconstruction: Float32Array,
    encoding: Encoding,
    excluded: Uint8Array,
  ): void {
    const sums = this.sumsAt(k);
    for (let t = 0; t < excluded.length; t++) {
      if (excluded[t]) continue;
      this.compareToken(sums, x, reconstruction, t);
      for (let j = t * encoding.k; j < t * encoding.k + Math.min(k, encoding.k); j++) {
        if ((encoding.activations[j] ?? 0) === 0) break;
        sums.active++;
        sums.fired[encoding.features[j] ?? 0] = 1;
      }
    }
  }

  figures(k: number): ReconstructionFigures {
    const { squaredError, cosine, active, fired } = this.sumsAt(k);
    const n = this.tokens;
    let squaredMean = 0;
    for (const value of this.sum) squaredMean += (value / n) ** 2;
    const variance = this.squaredNorm / n - squaredMean;
    const alive = fired.reduce((count, value) => count + value, 0);
    return {
      ev: 1 - squaredError / n / variance,
      mse: squaredError / n,
      cosine: cosine / n,
      l0: active / n,
      dead: 1 - alive / this.width,
    };
  }

  private compareToken(sums: SumsAtK, x: Float32Array, xhat: Float32Array, t: number): void {
    const D = this.inputWidth;
    let [error, product, xx, hh] = [0, 0, 0, 0];
    for (let i = t * D; i < (t + 1) * D; i++) {
      const a = x[i] ?? 0;
      const b = xhat[i] ?? 0;
      error += (a - b) * (a - b);
      product += a * b;
      xx += a * a;
      hh += b * b;
    }
    sums.squaredError += error;
    if (xx > 0 && hh > 0) sums.cosine += product / Math.sqrt(xx * hh);
  }

  private sumsAt(k: number): SumsAtK {
    let sums = this.atK.get(k);
    if (!sums) {
      sums = { squaredError: 0, cosine: 0, active: 0, fired: new Uint8Array(this.width) };
      this.atK.set(k, sums);
    }
    return sums;
  }
}
