import type { Encoder } from './encoder.ts';
import type { Sparsity } from './sparsity.ts';
import type { TrainingKernel } from './trainingKernel.ts';

/** Explained variance on rows that are not trained on. */
export interface HeldOutResult {
  readonly tokens: number;
  /** 1 - sum |x - xhat_k|^2 / sum |x - mean|^2 at each k asked for. */
  readonly ev: ReadonlyMap<number, number>;
  /** Mean number of activations above 0 among the K. */
  readonly l0: number;
}

/**
 * Measures rows (N, stride) at each of `ks`, ascending and at most K, by the sparsity of the trained SAE; uses the
 * kernel's batch arrays.
 */
export async function measureHeldOut(
  kernel: TrainingKernel,
  encoder: Encoder,
  rows: Float32Array,
  ks: readonly number[],
  sparsity?: Pick<Sparsity, 'apply'>,
): Promise<HeldOutResult> {
  const { stride } = kernel;
  const { batch, k } = kernel.shape;
  const tokens = rows.length / stride;
  const errors = new Float64Array(ks.length);
  let active = 0;
  for (let first = 0; first < tokens; first += batch) {
    const count = Math.min(batch, tokens - first);
    kernel.input.fill(0);
    kernel.input.set(rows.subarray(first * stride, (first + count) * stride));
    await encoder.encode();
    sparsity?.apply(kernel);
    for (let b = 0; b < count; b++) {
      addErrors(kernel, b, ks, errors);
      for (let j = 0; j < k; j++) if ((kernel.values[b * k + j] ?? 0) > 0) active++;
    }
  }
  const total = variation(rows, stride);
  const ev = new Map(ks.map((at, i) => [at, 1 - (errors[i] ?? NaN) / total]));
  return { tokens, ev, l0: active / tokens };
}

/** Adds |x - xhat_k|^2 of sample b for each k. */
function addErrors(
  kernel: TrainingKernel,
  b: number,
  ks: readonly number[],
  errors: Float64Array,
): void {
  const { stride } = kernel;
  const { k } = kernel.shape;
  const error = new Float64Array(stride);
  for (let i = 0; i < stride; i++) {
    error[i] = (kernel.decoderBias?.value[i] ?? 0) - (kernel.input[b * stride + i] ?? NaN);
  }
  for (let j = 0, next = 0; j < k && next < ks.length; j++) {
    const value = kernel.values[b * k + j] ?? NaN;
    const row = Number(kernel.indices[b * k + j]) * stride;
    for (let i = 0; i < stride; i++)
      error[i] = (error[i] ?? 0) + value * (kernel.decoder.value[row + i] ?? NaN);
    if (ks[next] === j + 1) {
      errors[next] = (errors[next] ?? 0) + error.reduce((sum, e) => sum + e * e, 0);
      next++;
    }
  }
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
