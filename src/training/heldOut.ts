import { excludedTokens } from '../saes/tokenPolicy.ts';
import type { ActivationWindow } from './activations/activations.ts';
import type { TrainingArrays, TrainingBackend } from './backend.ts';
import type { TokenStatistics } from './tokenStatistics.ts';

/** Tokens that are not trained on, scaled as those that are. */
export interface HeldOutRows {
  readonly input: Float32Array; // (N, stride)
  /** What is to be reconstructed: `input` itself but for a residual SAE. */
  readonly target: Float32Array; // (N, stride)
  /** Mean of |x - mean(x)|^2 in the target's scale: what is to be explained, of a residual SAE too. */
  readonly variance: number;
}

/** Explained variance on rows that are not trained on. */
export interface HeldOutResult {
  readonly tokens: number;
  /** 1 - sum |x - xhat_k|^2 / sum |x - mean|^2 at each k asked for; a residual SAE's xhat is the base's plus its own. */
  readonly ev: ReadonlyMap<number, number>;
  /** The same where nothing fires: of a residual SAE, the base's. */
  readonly evOfNothing: number;
  /** Mean number of activations above 0 among the K. */
  readonly l0: number;
}

/** The included tokens of windows, with the scales of a training's statistics. */
export function heldOutRows(
  windows: readonly ActivationWindow[],
  width: number,
  { policy, scale, targetScale }: Pick<TokenStatistics, 'policy' | 'scale' | 'targetScale'>,
  stride: number,
): HeldOutRows {
  const rows: { readonly window: ActivationWindow; readonly t: number }[] = [];
  for (const window of windows) {
    excludedTokens(window.activations, width, true, policy).forEach((excluded, t) => {
      if (excluded === 0) rows.push({ window, t });
    });
  }
  const input = new Float32Array(rows.length * stride);
  const hasTarget = rows.some(({ window }) => window.target);
  const target = hasTarget ? new Float32Array(input.length) : input;
  rows.forEach(({ window, t }, n) => {
    for (let i = 0; i < width; i++) {
      input[n * stride + i] = scale * (window.activations[t * width + i] ?? NaN);
      if (window.target)
        target[n * stride + i] = targetScale * (window.target[t * width + i] ?? NaN);
    }
  });
  const variance = (variation(input, stride) / rows.length) * (targetScale / scale) ** 2;
  return { input, target, variance };
}

/**
 * Measures rows (N, stride) at each of `ks`, ascending and at most K, by the sparsity of the trained SAE; uses the
 * backend's batch arrays.
 */
export async function measureHeldOut(
  backend: Pick<TrainingBackend, 'arrays' | 'sparsity' | 'encode' | 'download'>,
  rows: HeldOutRows,
  ks: readonly number[],
): Promise<HeldOutResult> {
  await backend.download();
  const { arrays, sparsity } = backend;
  const { stride } = arrays;
  const { batch, k } = arrays.shape;
  const tokens = rows.input.length / stride;
  const errors = new Float64Array(ks.length);
  let errorOfNothing = 0;
  let active = 0;
  for (let first = 0; first < tokens; first += batch) {
    const count = Math.min(batch, tokens - first);
    const [from, to] = [first * stride, (first + count) * stride];
    arrays.input.fill(0);
    arrays.input.set(rows.input.subarray(from, to));
    arrays.target.set(rows.target.subarray(from, to));
    await backend.encode();
    sparsity.apply(arrays);
    for (let b = 0; b < count; b++) {
      errorOfNothing += addErrors(arrays, b, ks, errors);
      for (let j = 0; j < k; j++) if ((arrays.values[b * k + j] ?? 0) > 0) active++;
    }
  }
  const total = rows.variance * tokens;
  const ev = new Map(ks.map((at, i) => [at, 1 - (errors[i] ?? NaN) / total]));
  return { tokens, ev, evOfNothing: 1 - errorOfNothing / total, l0: active / tokens };
}

/** Adds |x - xhat_k|^2 of sample b for each k; returns |x - b_dec|^2. */
function addErrors(
  arrays: TrainingArrays,
  b: number,
  ks: readonly number[],
  errors: Float64Array,
): number {
  const { stride } = arrays;
  const { k } = arrays.shape;
  const error = new Float64Array(stride);
  for (let i = 0; i < stride; i++) {
    error[i] = (arrays.decoderBias?.value[i] ?? 0) - (arrays.target[b * stride + i] ?? NaN);
  }
  const ofNothing = error.reduce((sum, e) => sum + e * e, 0);
  for (let j = 0, next = 0; j < k && next < ks.length; j++) {
    const value = arrays.values[b * k + j] ?? NaN;
    const row = Number(arrays.indices[b * k + j]) * stride;
    for (let i = 0; i < stride; i++)
      error[i] = (error[i] ?? 0) + value * (arrays.decoder.value[row + i] ?? NaN);
    if (ks[next] === j + 1) {
      errors[next] = (errors[next] ?? 0) + error.reduce((sum, e) => sum + e * e, 0);
      next++;
    }
  }
  return ofNothing;
}

/** sum |x - mean|^2 */
function variation(rows: Float32Array, stride: number): number {
  const tokens = rows.length / stride;
  const sum = new Float64Array(stride);
  let squares = 0;
  for (let p = 0; p < rows.length; p++) {
    const x = rows[p] ?? NaN;
    squares += x * x;
    sum[p % stride] = (sum[p % stride] ?? 0) + x;
  }
  return squares - sum.reduce((total, s) => total + s * s, 0) / tokens;
}
