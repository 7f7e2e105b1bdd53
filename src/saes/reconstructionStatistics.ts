import { Failure } from '../common/failure.ts';
import type { Encoding } from './reconstruct.ts';

/** How well an SAE, or a sum of several, reconstructs. */
export interface ReconstructionFigures {
  /** 1 - sum |x - xhat|^2 / sum |x - mean(x)|^2, with the mean over all counted tokens. */
  readonly ev: number;
  /** Mean over tokens of |x - xhat|^2, summed over the D dimensions. */
  readonly mse: number;
  /** Mean over tokens of the cosine of x and xhat; 0 where either is 0. */
  readonly cosine: number;
  /** Mean number of active features, of all SAEs in the sum. */
  readonly l0: number;
  /** Of these, those of the SAEs behind the first: residual SAEs. */
  readonly residualL0: number;
  /** Fraction of features that were active on no counted token. */
  readonly dead: number;
}

/** What of an SAE went into a reconstruction: its k strongest features. */
export interface Summand {
  readonly encoding: Encoding;
  readonly k: number;
  readonly width: number; // F
}

interface Sums {
  squaredError: number;
  cosine: number;
  /** By summand. */
  readonly active: number[];
  readonly fired: Uint8Array[]; // (F) each
}

/**
 * Streaming sums of the quality of several reconstructions of the same tokens, in float64, over the tokens that are not excluded. Source of
 * the formulas: SAELens `evals.py`, `ExplainedVarianceCalculator` and `get_sparsity_and_variance_metrics`.
 */
export class ReconstructionStatistics {
  /** Counted tokens. */
  tokens = 0;
  private squaredNorm = 0;
  private readonly sum: Float64Array; // (D), of x
  private readonly reconstructions: Sums[] = [];
  private readonly inputWidth: number;

  constructor(inputWidth: number) {
    this.inputWidth = inputWidth;
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

  /** Counts one of the reconstructions (T, D) of the same tokens; `index` tells them apart, from 0. */
  addReconstruction(
    index: number,
    x: Float32Array,
    reconstruction: Float32Array,
    summands: readonly Summand[],
    excluded: Uint8Array,
  ): void {
    const sums = (this.reconstructions[index] ??= {
      squaredError: 0,
      cosine: 0,
      active: summands.map(() => 0),
      fired: summands.map(({ width }) => new Uint8Array(width)),
    });
    for (let t = 0; t < excluded.length; t++) {
      if (excluded[t]) continue;
      this.compareToken(sums, x, reconstruction, t);
      summands.forEach((summand, s) => countActive(sums, summand, s, t));
    }
  }

  /** Of the reconstruction `index`, once tokens were counted. */
  figures(index: number): ReconstructionFigures {
    const sums = this.reconstructions[index];
    if (!sums) throw new Failure('internal', `Reconstruction ${index} was not counted.`);
    const { squaredError, cosine, active, fired } = sums;
    const n = this.tokens;
    let squaredMean = 0;
    for (const value of this.sum) squaredMean += (value / n) ** 2;
    const variance = this.squaredNorm / n - squaredMean;
    const alive = sumOf(fired.map(flags => flags.reduce((count, flag) => count + flag, 0)));
    const width = sumOf(fired.map(flags => flags.length));
    return {
      ev: 1 - squaredError / n / variance,
      mse: squaredError / n,
      cosine: cosine / n,
      l0: sumOf(active) / n,
      residualL0: sumOf(active.slice(1)) / n,
      dead: 1 - alive / width,
    };
  }

  private compareToken(sums: Sums, x: Float32Array, xhat: Float32Array, t: number): void {
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
}

function countActive(sums: Sums, { encoding, k }: Summand, index: number, t: number): void {
  const first = t * encoding.k;
  for (let j = first; j < first + Math.min(k, encoding.k); j++) {
    if ((encoding.activations[j] ?? 0) === 0) break;
    sums.active[index] = (sums.active[index] ?? 0) + 1;
    const fired = sums.fired[index];
    if (fired) fired[encoding.features[j] ?? 0] = 1;
  }
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
