import type { SaeLensFigures } from '../../contracts/commandLine.ts';
import type { Hook } from '../../contracts/hooks.ts';
import { hookAt } from '../../models/hooks.ts';
import type { Encoding } from '../../saes/reconstruct.ts';
import type { LayerBuffers } from '../model/layerBuffers.ts';
import type { ModelRunner } from '../model/modelRunner.ts';

/** One window of tokens, with what was replaced by what. */
export interface MeasuredWindow {
  readonly tokenIds: Uint32Array; // (T)
  readonly target: Float32Array; // (T, O)
  readonly reconstruction: Float32Array; // (T, O)
  readonly encoding: Encoding;
  /** Features of the encoding in the reconstruction. */
  readonly k: number;
  /** The last state of the residual stream of the run that nothing was replaced in, (T, D). */
  readonly last: Float32Array;
  readonly buffers: LayerBuffers | undefined;
  /** Where the hook is no state of the residual stream: the state that a splice begins with (T, D). */
  readonly residual: Float32Array | undefined;
}

/** The last state of the residual stream, from which logits follow row by row. */
export function lastState(layers: number): Hook {
  return hookAt(2 * layers);
}

/** Rows whose logits are in memory at once. */
const rowsPerRun = 128;

/**
 * SAELens' own figures, as its `evals.py` computes them on the same tokens: over all tokens, the first of a window and
 * outliers too, all of them replaced. Means over tokens in float64; SAELens takes them in float32. Sources:
 * `get_sparsity_and_variance_metrics`, `ExplainedVarianceCalculator`, `get_recons_loss`, `_kl`.
 */
export class SaeLensEvaluation {
  private readonly model: Pick<ModelRunner, 'splice'>;
  private readonly hook: Hook;
  private readonly last: Hook;
  private readonly outputWidth: number;
  private readonly sum: Float64Array; // (O)
  private tokens = 0;
  private predicted = 0;
  private weights: Float64Array | undefined;
  private readonly totals = {
    squaredNorm: 0,
    squaredError: 0,
    cosine: 0,
    ratio: 0,
    l0: 0,
    l1: 0,
    ce: { clean: 0, sae: 0, zero: 0 },
    kl: { sae: 0, zero: 0 },
  };

  constructor(
    model: Pick<ModelRunner, 'splice'>,
    at: { readonly hook: Hook; readonly layers: number; readonly outputWidth: number },
  ) {
    this.model = model;
    this.hook = at.hook;
    this.last = lastState(at.layers);
    this.outputWidth = at.outputWidth;
    this.sum = new Float64Array(at.outputWidth);
  }

  async add(window: MeasuredWindow, signal?: AbortSignal): Promise<void> {
    this.addReconstruction(window);
    const zeros = new Float32Array(window.reconstruction.length);
    const sae = await this.spliced(window, window.reconstruction, signal);
    const zero = await this.spliced(window, zeros, signal);
    const T = window.tokenIds.length;
    for (let from = 0; from < T; from += rowsPerRun) {
      const to = Math.min(from + rowsPerRun, T);
      const clean = await this.logits(window.last, T, [from, to], signal);
      const [withSae, withZero] = [
        await this.logits(sae, T, [from, to], signal),
        await this.logits(zero, T, [from, to], signal),
      ];
      const V = clean.length / (to - from);
      for (let t = from; t < to; t++) {
        const row = (logits: Float32Array) => logits.subarray((t - from) * V, (t - from + 1) * V);
        this.addToken(row(clean), row(withSae), row(withZero), window.tokenIds[t + 1]);
      }
    }
  }

  figures(): SaeLensFigures {
    const { tokens, predicted, totals } = this;
    const { ce, kl } = totals;
    let squaredMean = 0;
    for (const value of this.sum) squaredMean += (value / tokens) ** 2;
    return {
      ev: 1 - totals.squaredError / tokens / (totals.squaredNorm / tokens - squaredMean),
      mse: totals.squaredError / tokens,
      cosine: totals.cosine / tokens,
      l2Ratio: totals.ratio / tokens,
      l0: totals.l0 / tokens,
      l1: totals.l1 / tokens,
      ceWithoutSae: ce.clean / predicted,
      ceWithSae: ce.sae / predicted,
      ceWithAblation: ce.zero / predicted,
      ceScore: (ce.zero - ce.sae) / (ce.zero - ce.clean),
      klWithSae: kl.sae / tokens,
      klWithAblation: kl.zero / tokens,
      klScore: (kl.zero - kl.sae) / kl.zero,
    };
  }

  private addReconstruction({ target, reconstruction, encoding, k }: MeasuredWindow): void {
    const { outputWidth: O, sum, totals } = this;
    for (let t = 0; t < target.length / O; t++) {
      let [error, product, xx, hh] = [0, 0, 0, 0];
      for (let d = 0; d < O; d++) {
        const a = target[t * O + d] ?? 0;
        const b = reconstruction[t * O + d] ?? 0;
        sum[d] = (sum[d] ?? 0) + a;
        error += (a - b) ** 2;
        product += a * b;
        xx += a * a;
        hh += b * b;
      }
      totals.squaredNorm += xx;
      totals.squaredError += error;
      totals.cosine += product / Math.sqrt(xx * hh);
      // A token of length 0 is divided by 1.
      totals.ratio += Math.sqrt(hh) / (Math.sqrt(xx) < 1e-4 ? 1 : Math.sqrt(xx));
      const first = t * encoding.k;
      for (const activation of encoding.activations.subarray(first, first + k)) {
        totals.l0 += activation === 0 ? 0 : 1;
        totals.l1 += Math.abs(activation);
      }
      this.tokens++;
    }
  }

  /** Where the replaced activation leads: the last state, (T, D). */
  private async spliced(
    { buffers, residual }: MeasuredWindow,
    activations: Float32Array,
    signal: AbortSignal | undefined,
  ): Promise<Float32Array> {
    const { hook, last } = this;
    if (hook === last) return activations;
    const request = { hook, activations, residual, buffers, hooks: [last], head: 'none' } as const;
    const { hooks } = await this.model.splice({ ...request, ...(signal && { signal }) });
    return hooks.get(last) ?? new Float32Array(0);
  }

  private async logits(
    state: Float32Array, // (T, D)
    T: number,
    [from, to]: readonly [number, number],
    signal: AbortSignal | undefined,
  ): Promise<Float32Array> {
    const width = state.length / T;
    const activations = state.subarray(from * width, to * width);
    const request = { hook: this.last, activations, head: 'logits' } as const;
    const { logits } = await this.model.splice({ ...request, ...(signal && { signal }) });
    return logits ?? new Float32Array(0);
  }

  private addToken(
    clean: Float32Array, // (V)
    sae: Float32Array,
    zero: Float32Array,
    next: number | undefined,
  ): void {
    const { ce, kl } = this.totals;
    const weights = (this.weights ??= new Float64Array(clean.length)); // (V)
    const norm = { clean: logSum(clean, weights), sae: logSum(sae), zero: logSum(zero) };
    let total = 0;
    for (const weight of weights) total += weight;
    let [klSae, klZero] = [0, 0];
    for (let v = 0; v < clean.length; v++) {
      const logP = (clean[v] ?? 0) - norm.clean;
      const p = (weights[v] ?? 0) / total;
      klSae += p * (logP - (sae[v] ?? 0) + norm.sae);
      klZero += p * (logP - (zero[v] ?? 0) + norm.zero);
    }
    kl.sae += klSae;
    kl.zero += klZero;
    if (next === undefined) return; // the last token of a window has no known next one
    ce.clean += norm.clean - (clean[next] ?? NaN);
    ce.sae += norm.sae - (sae[next] ?? NaN);
    ce.zero += norm.zero - (zero[next] ?? NaN);
    this.predicted++;
  }
}

/** ln sum exp; `weights` are filled with exp, relative to the largest. */
function logSum(values: Float32Array, weights?: Float64Array): number {
  let largest = -Infinity;
  for (const value of values) if (value > largest) largest = value;
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const weight = Math.exp((values[i] ?? 0) - largest);
    sum += weight;
    if (weights) weights[i] = weight;
  }
  return largest + Math.log(sum);
}
