import type { Dictionary } from '../saes/dictionary.ts';
import type { Encoding } from '../saes/reconstruct.ts';
import { excludedTokens } from '../saes/tokenPolicy.ts';
import type { ActivationWindow } from './activations/activations.ts';

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

/** The same dictionary as a JumpReLU with these thresholds (F), or one for all its features. */
export function withThreshold(
  dictionary: Dictionary,
  thresholds: number | Float32Array,
): Dictionary {
  const threshold =
    typeof thresholds === 'number'
      ? new Float32Array(dictionary.width).fill(thresholds)
      : thresholds;
  return { ...dictionary, rule: { kind: 'jumprelu', threshold } };
}

/** The threshold above which `perToken` activations per token lie, on average; 0 where there are no more than that. */
export function thresholdForL0({ encoding }: Candidates, perToken: number): number {
  const sorted = encoding.activations.filter(activation => activation > 0).sort();
  const tokens = encoding.activations.length / encoding.k;
  const above = Math.round(tokens * perToken);
  return sorted[sorted.length - above - 1] ?? 0;
}

/**
 * A threshold for each feature, `lowest` or higher, (F): the one at which the feature by itself takes most from the
 * squared error of this text. On general text: a feature that only does harm there never fires as weakly as it does
 * there, and one that never fires there keeps `lowest`.
 */
export function harmlessThresholds(
  decoder: Pick<Dictionary, 'decoder' | 'inputWidth' | 'width'>,
  candidates: Candidates,
  lowest: number,
): Float32Array {
  const firings = firingsAbove(decoder, candidates, lowest);
  const thresholds = new Float32Array(decoder.width).fill(lowest);
  for (const [feature, list] of firings) {
    list.sort((a, b) => b.activation - a.activation);
    let change = 0;
    let best = 0;
    let threshold = list[0]?.activation ?? lowest; // none fires
    list.forEach((firing, i) => {
      change += firing.change;
      const next = list[i + 1]?.activation ?? lowest;
      // No threshold lies between equal activations.
      if (change > best || next === firing.activation) return;
      best = change;
      threshold = next;
    });
    thresholds[feature] = threshold;
  }
  return thresholds;
}

interface Firing {
  readonly activation: number;
  /** |e - a w|^2 - |e|^2: what the squared error gains if only this feature fires. */
  readonly change: number;
}

function firingsAbove(
  { decoder, inputWidth: D }: Pick<Dictionary, 'decoder' | 'inputWidth'>,
  { encoding, target }: Candidates,
  lowest: number,
): Map<number, Firing[]> {
  const firings = new Map<number, Firing[]>();
  for (let p = 0; p < encoding.activations.length; p++) {
    const activation = encoding.activations[p] ?? 0;
    if (!(activation > lowest)) continue;
    const feature = encoding.features[p] ?? 0;
    const e = Math.floor(p / encoding.k) * D;
    let [product, squares] = [0, 0];
    for (let d = 0; d < D; d++) {
      const w = decoder[feature * D + d] ?? 0;
      product += w * (target[e + d] ?? 0);
      squares += w * w;
    }
    const list = firings.get(feature) ?? [];
    list.push({ activation, change: activation * activation * squares - 2 * activation * product });
    firings.set(feature, list);
  }
  return firings;
}
