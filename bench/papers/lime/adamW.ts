import { valuesOf, type Kind, type Parameter } from './parameters.ts';

/**
 * Of LIMe's paper, section 3 and appendix, but for the learning rate of what is no router: 1e-3 there, for wider models.
 * No decay of the embedding, as in the authors' train_utils.py.
 */
export const optimiser = {
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  clip: 1,
  learningRates: { embedding: 3e-3, matrix: 3e-3, gain: 3e-3, router: 1e-2 },
  decays: { embedding: 0, matrix: 0.1, gain: 0, router: 0 },
} as const satisfies Readonly<
  Record<'beta1' | 'beta2' | 'epsilon' | 'clip', number> &
    Record<'learningRates' | 'decays', Readonly<Record<Kind, number>>>
>;

/** Moments of the gradient, in the order of the weights. */
export interface Moments {
  readonly first: Float32Array;
  readonly second: Float32Array;
}

/** Scales the gradient to a norm of at most `most`; returns the norm that it had. */
export function clip(gradient: Float32Array, most: number): number {
  let squares = 0;
  for (const slope of gradient) squares += slope * slope;
  const norm = Math.sqrt(squares);
  const factor = most / (norm + 1e-6);
  if (factor < 1)
    for (let i = 0; i < gradient.length; i++) gradient[i] = (gradient[i] ?? NaN) * factor;
  return norm;
}

/**
 * Step number `step`, counted from 1, at `rate` times the learning rates, in place.
 * Source: Loshchilov and Hutter 2019, arXiv 1711.05101, algorithm 2, as torch.optim.AdamW does it.
 */
export function adamW(
  weights: Float32Array,
  gradient: Float32Array,
  moments: Moments,
  parameters: readonly Parameter[],
  { step, rate }: { readonly step: number; readonly rate: number },
): void {
  const { beta1, beta2, epsilon, learningRates, decays } = optimiser;
  const size1 = 1 / (1 - beta1 ** step);
  const size2 = 1 / Math.sqrt(1 - beta2 ** step);
  for (const parameter of parameters) {
    const lr = rate * learningRates[parameter.kind];
    const kept = 1 - lr * decays[parameter.kind];
    const [w, g, m, v] = [weights, gradient, moments.first, moments.second].map(flat =>
      valuesOf(flat, parameter),
    ) as [Float32Array, Float32Array, Float32Array, Float32Array];
    for (let i = 0; i < w.length; i++) {
      const slope = g[i] ?? NaN;
      const first = (m[i] = beta1 * (m[i] ?? NaN) + (1 - beta1) * slope);
      const second = (v[i] = beta2 * (v[i] ?? NaN) + (1 - beta2) * slope * slope);
      w[i] = kept * (w[i] ?? NaN) - (lr * size1 * first) / (Math.sqrt(second) * size2 + epsilon);
    }
  }
}
