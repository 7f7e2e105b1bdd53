import type { ActivationRule } from '../saes/dictionary.ts';
import type { TrainingSettings } from './settings.ts';
import type { Candidates, Sparsity } from './sparsity.ts';

/**
 * What the running mean of the threshold keeps of itself at each step: that of some 20 batches, so that it has followed
 * the weights by the end of a short training too.
 */
export const kept = 0.95;

/**
 * BatchTopK (Bussmann et al., arXiv 2412.06410): of a batch of B samples the B K largest activations fire. The trained
 * SAE is a JumpReLU whose one threshold is the running mean of the smallest activation that fired in a batch.
 */
export class BatchTopK implements Sparsity {
  /** One number, 0 before the first step. */
  private readonly threshold = new Float32Array(1);
  private readonly features: number;
  private readonly k: number;

  constructor({ features, k }: Pick<TrainingSettings, 'features' | 'k'>) {
    this.features = features;
    this.k = k;
  }

  get arrays(): Sparsity['arrays'] {
    return { threshold: this.threshold };
  }

  get rule(): ActivationRule {
    const threshold = new Float32Array(this.features).fill(this.threshold[0] ?? NaN);
    return { kind: 'jumprelu', threshold };
  }

  begin(): void {
    // The first batch is selected without a threshold.
  }

  select({ values, shape }: Candidates): void {
    const smallest = keepLargest(values, shape.batch * this.k);
    const before = this.threshold[0] ?? 0;
    this.threshold[0] = before === 0 ? smallest : kept * before + (1 - kept) * smallest;
  }

  apply({ values }: Candidates): void {
    const threshold = this.threshold[0] ?? NaN;
    values.forEach((value, p) => {
      if (!(value > threshold)) values[p] = 0;
    });
  }

  learn(): number {
    return 0;
  }
}

/** Sets all but the `count` largest values to 0, of equal ones the later; returns the smallest above 0 that is left. */
export function keepLargest(values: Float32Array, count: number): number {
  const sorted = Float32Array.from(values).sort();
  const last = sorted[Math.max(0, sorted.length - count)] ?? 0;
  let equal = count;
  for (const value of values) if (value > last) equal--;
  let smallest = Infinity;
  values.forEach((value, p) => {
    if (value < last || (value === last && equal-- <= 0)) values[p] = 0;
    else if (value > 0) smallest = Math.min(smallest, value);
  });
  return Number.isFinite(smallest) ? smallest : 0;
}
