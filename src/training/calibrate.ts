import type { Dictionary } from '../saes/dictionary.ts';
import type { Encoding } from '../saes/reconstruct.ts';
import { excludedTokens } from '../saes/tokenPolicy.ts';
import type { ActivationWindow } from './activations.ts';

/** The included tokens of windows, one after the other. */
export interface Rows {
  readonly x: Float32Array; // (N, D)
  readonly target: Float32Array; // (N, D)
}

/** What a threshold is chosen from: the strongest features of each token, whether or not they will fire. */
export interface Candidates {
  readonly encoding: Encoding;
  readonly target: Float32Array; // (N, D)
}

export function includedRows(
  windows: readonly ActivationWindow[],
  { inputWidth: D, tokenPolicy }: Pick<Dictionary, 'inputWidth' | 'tokenPolicy'>,
): Rows {
  const kept = windows.map(({ activations }) =>
    excludedTokens(activations, D, true, tokenPolicy).map(out => 1 - out),
  );
  const count = kept.reduce((sum, flags) => sum + flags.reduce((n, flag) => n + flag, 0), 0);
  const x = new Float32Array(count * D);
  const target = new Float32Array(count * D);
  let n = 0;
  windows.forEach((window, w) => {
    kept[w]?.forEach((flag, t) => {
      if (flag === 0) return;
      x.set(window.activations.subarray(t * D, (t + 1) * D), n * D);
      if (window.target) target.set(window.target.subarray(t * D, (t + 1) * D), n * D);
      n++;
    });
  });
  return { x, target };
}

/** The same dictionary with one threshold for all its features, as a JumpReLU. */
export function withThreshold(dictionary: Dictionary, threshold: number): Dictionary {
  return {
    ...dictionary,
    rule: { kind: 'jumprelu', threshold: new Float32Array(dictionary.width).fill(threshold) },
  };
}

/** The threshold above which `perToken` activations per token lie, on average. */
export function thresholdForL0({ encoding }: Candidates, perToken: number): number {
  const sorted = encoding.activations.filter(activation => activation > 0).sort();
  const tokens = encoding.activations.length / encoding.k;
  const above = Math.round(tokens * perToken);
  return sorted[Math.max(0, sorted.length - above - 1)] ?? 0;
}

/** Shares of the activations above the first threshold that lie below those tried. */
const quantiles = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 1];

/**
 * The lowest threshold from `lowest` on at which the residual SAE reconstructs the target of this text no worse than
 * saying nothing: on general text, a base that is left as good as it was.
 */
export function harmlessThreshold(
  decoder: Pick<Dictionary, 'decoder' | 'inputWidth'>,
  candidates: Candidates,
  lowest: number,
): number {
  const above = candidates.encoding.activations.filter(activation => activation > lowest).sort();
  const ofNothing = squaredError(decoder, candidates, Infinity);
  for (const quantile of quantiles) {
    const at = Math.min(above.length - 1, Math.floor(quantile * above.length) - 1);
    const threshold = at < 0 ? lowest : (above[at] ?? lowest);
    if (squaredError(decoder, candidates, threshold) <= ofNothing) return threshold;
  }
  return above.at(-1) ?? lowest;
}

/** Sum over tokens of |target - ehat|^2 where what is above the threshold fires. */
export function squaredError(
  { decoder, inputWidth: D }: Pick<Dictionary, 'decoder' | 'inputWidth'>,
  { encoding, target }: Candidates,
  threshold: number,
): number {
  const left = new Float64Array(D);
  let sum = 0;
  for (let n = 0; n < target.length / D; n++) {
    left.set(target.subarray(n * D, (n + 1) * D));
    for (let j = n * encoding.k; j < (n + 1) * encoding.k; j++) {
      const activation = encoding.activations[j] ?? 0;
      if (!(activation > threshold)) break; // in descending order
      const row = (encoding.features[j] ?? 0) * D;
      for (let d = 0; d < D; d++) left[d] = (left[d] ?? 0) - activation * (decoder[row + d] ?? 0);
    }
    for (let d = 0; d < D; d++) sum += (left[d] ?? 0) ** 2;
  }
  return sum;
}
