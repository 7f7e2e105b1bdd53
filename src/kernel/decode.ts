// Phase 1, parallel over samples: every prefix's reconstruction error, and the gradients of the activations.
// HierarchicalTopK, arXiv 2505.24473: L = sum_m w_m |xhat_m - y|^2, xhat_m = b_dec + sum of the first ends[m]
// activations times their decoder rows; uniform w over 1..K is the paper's loss, one prefix of K is plain TopK.
// @ts-nocheck: AssemblyScript, checked by asc.
import * as job from './job';
import { accumulateDot, add, addScaled, addScaledCopySquare, dot, subtract } from './simd';
import { word } from './word';

/** This thread's share of the samples, both reconstructions. */
export function decode(j: usize, thread: u32): void {
  const threads = <u32>word(j, job.THREADS);
  const samples = <u32>word(j, job.SAMPLES);
  const n = word(j, job.ROW);
  const b0 = (samples * thread) / threads;
  const b1 = (samples * (thread + 1)) / threads;
  const sums = word(j, job.SUMS) + ((<usize>thread) << 5);
  const bias = word(j, job.DECODER_BIAS);
  const biasGradient = bias ? word(j, job.DECODER_BIAS_GRADIENT) + <usize>thread * n : 0;
  if (word(j, job.FIRST)) {
    memory.fill(sums, 0, 32);
    if (biasGradient) memory.fill(biasGradient, 0, n);
  }
  const main = j + (job.MAIN << 2);
  const auxiliary = j + (job.AUXILIARY << 2);
  for (let b = b0; b < b1; b++) {
    forward(j, main, thread, b, bias, sums, true);
    backward(j, main, thread, b, biasGradient);
    if (word(auxiliary, job.SLOTS)) {
      forward(j, auxiliary, thread, b, 0, sums + 16, false);
      backward(j, auxiliary, thread, b, 0);
    }
  }
}

function forward(
  j: usize,
  r: usize,
  thread: u32,
  b: u32,
  bias: usize,
  sums: usize,
  last: bool,
): void {
  const n = word(j, job.ROW);
  const error = word(j, job.SCRATCH) + 2 * thread * n;
  const decoder = word(j, job.DECODER);
  const k = <u32>word(r, job.SLOTS);
  const budgets = <u32>word(r, job.BUDGETS);
  const values = word(r, job.VALUES) + ((<usize>(b * k)) << 2);
  const indices = word(r, job.INDICES) + ((<usize>(b * k)) << 3);
  const errors = word(r, job.ERRORS) + <usize>(b * budgets) * n;
  const ends = word(r, job.BUDGET_ENDS);
  const weights = word(r, job.BUDGET_WEIGHTS);
  subtract(error, bias, word(r, job.TARGET) + <usize>b * n, n);
  let loss: f64 = 0;
  let square: f32 = 0;
  let slot: u32 = 0;
  for (let m: u32 = 0; m < budgets; m++) {
    const end = load<u32>(ends + ((<usize>m) << 2));
    for (; slot < end - 1; slot++) {
      const value = load<f32>(values + ((<usize>slot) << 2));
      if (value > 0)
        addScaled(error, value, decoder + <usize>load<u32>(indices + ((<usize>slot) << 3)) * n, n);
    }
    const row = decoder + <usize>load<u32>(indices + ((<usize>slot) << 3)) * n;
    square = addScaledCopySquare(
      error,
      load<f32>(values + ((<usize>slot) << 2)),
      row,
      errors + <usize>m * n,
      n,
    );
    loss += <f64>load<f32>(weights + ((<usize>m) << 2)) * <f64>square;
    slot++;
  }
  store<f64>(sums, load<f64>(sums) + loss);
  if (last) store<f64>(sums, load<f64>(sums, 8) + <f64>square, 8);
  const residual = word(r, job.RESIDUAL);
  if (residual) subtract(residual + <usize>b * n, 0, error, n);
}

function backward(j: usize, r: usize, thread: u32, b: u32, biasGradient: usize): void {
  const n = word(j, job.ROW);
  const gradient = word(j, job.SCRATCH) + (2 * thread + 1) * n;
  const decoder = word(j, job.DECODER);
  const k = <u32>word(r, job.SLOTS);
  const budgets = <u32>word(r, job.BUDGETS);
  const values = word(r, job.VALUES) + ((<usize>(b * k)) << 2);
  const indices = word(r, job.INDICES) + ((<usize>(b * k)) << 3);
  const slopes = word(r, job.SLOPES) + ((<usize>(b * k)) << 2);
  const errors = word(r, job.ERRORS) + <usize>(b * budgets) * n;
  const ends = word(r, job.BUDGET_ENDS);
  const weights = word(r, job.BUDGET_WEIGHTS);
  const all = word(r, job.ALL_SLOPES) != 0;
  const scale = load<f32>(r, job.GRADIENT_SCALE << 2);
  memory.fill(gradient, 0, n);
  for (let m: i32 = budgets - 1; m >= 0; m--) {
    const begin = m ? <i32>load<u32>(ends + ((<usize>(m - 1)) << 2)) : 0;
    let slot = <i32>load<u32>(ends + ((<usize>m) << 2)) - 1;
    const weight = scale * load<f32>(weights + ((<usize>m) << 2));
    const row = decoder + <usize>load<u32>(indices + ((<usize>slot) << 3)) * n;
    const slope = accumulateDot(gradient, weight, errors + <usize>m * n, row, n);
    store<f32>(
      slopes + ((<usize>slot) << 2),
      all || load<f32>(values + ((<usize>slot) << 2)) > 0 ? slope : 0,
    );
    for (slot--; slot >= begin; slot--) {
      let slope: f32 = 0;
      if (all || load<f32>(values + ((<usize>slot) << 2)) > 0)
        slope = dot(gradient, decoder + <usize>load<u32>(indices + ((<usize>slot) << 3)) * n, n);
      store<f32>(slopes + ((<usize>slot) << 2), slope);
    }
  }
  if (biasGradient) add(biasGradient, gradient, n);
}
