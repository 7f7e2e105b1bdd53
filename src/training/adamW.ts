/** Which weights are to be learned and how. Defaults of beta and epsilon: arXiv 2502.09245, section 4. */
export interface AdamWSettings {
  readonly weightDecay: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
}

/** The moments of one array. */
export interface Moments {
  readonly first: Float64Array;
  readonly second: Float64Array;
}

/**
 * AdamW over arrays of any number, for trainings whose weights are few (arXiv 1711.05101). Weights are float32, as the
 * graph takes them; moments are float64.
 */
export class AdamW {
  private readonly settings: Required<AdamWSettings>;

  constructor(settings: AdamWSettings) {
    this.settings = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, ...settings };
  }

  static moments(length: number): Moments {
    return { first: new Float64Array(length), second: new Float64Array(length) };
  }

  /** One step in place, counted from 1. */
  step(
    weights: Float32Array,
    gradient: ArrayLike<number>,
    { first, second }: Moments,
    at: { readonly step: number; readonly learningRate: number },
  ): void {
    const { weightDecay, beta1, beta2, epsilon } = this.settings;
    const correction1 = 1 - beta1 ** at.step;
    const correction2 = 1 - beta2 ** at.step;
    const kept = 1 - at.learningRate * weightDecay;
    for (let i = 0; i < weights.length; i++) {
      const g = gradient[i] ?? NaN;
      const m = beta1 * (first[i] ?? NaN) + (1 - beta1) * g;
      const s = beta2 * (second[i] ?? NaN) + (1 - beta2) * g * g;
      first[i] = m;
      second[i] = s;
      const move = m / correction1 / (Math.sqrt(s / correction2) + epsilon);
      weights[i] = (weights[i] ?? NaN) * kept - at.learningRate * move;
    }
  }
}
