// AdamW (Loshchilov and Hutter, arXiv 1711.05101), decoupled weight decay, as PyTorch computes it.
// @ts-nocheck: AssemblyScript, checked by asc.
import { EPSILON, KEEP, LEARNING_RATE, ONE_MINUS_BETA1, ONE_MINUS_BETA2 } from './job';
import { multiplyAdd } from './simd';

// Moments below this are set to 0: WebAssembly cannot flush denormals, and dead features would crawl through them.
const smallestSquare: f32 = 1e-36;

/** Updates n bytes of parameters w and moments m, s with gradient g. */
export function adamRow(job: usize, w: usize, m: usize, s: usize, g: usize, n: usize): void {
  const rate = f32x4.splat(load<f32>(job, LEARNING_RATE << 2));
  const epsilon = f32x4.splat(load<f32>(job, EPSILON << 2));
  const keep = f32x4.splat(load<f32>(job, KEEP << 2));
  const c1 = f32x4.splat(load<f32>(job, ONE_MINUS_BETA1 << 2));
  const c2 = f32x4.splat(load<f32>(job, ONE_MINUS_BETA2 << 2));
  const tiny = f32x4.splat(smallestSquare);
  for (let t: usize = 0; t < n; t += 16) {
    const gradient = v128.load(g + t);
    const m0 = v128.load(m + t);
    const s0 = v128.load(s + t);
    let mean = multiplyAdd(c1, f32x4.sub(gradient, m0), m0);
    let square = multiplyAdd(c2, f32x4.sub(f32x4.mul(gradient, gradient), s0), s0);
    mean = v128.andnot(mean, f32x4.lt(f32x4.mul(mean, mean), tiny));
    square = v128.andnot(square, f32x4.lt(square, tiny));
    v128.store(m + t, mean);
    v128.store(s + t, square);
    const move = f32x4.div(f32x4.mul(rate, mean), f32x4.add(f32x4.sqrt(square), epsilon));
    v128.store(w + t, f32x4.sub(f32x4.mul(v128.load(w + t), keep), move));
  }
}

/** The same for one number. */
export function adamNumber(job: usize, w: usize, m: usize, s: usize, gradient: f32): void {
  let mean = load<f32>(m);
  let square = load<f32>(s);
  mean += load<f32>(job, ONE_MINUS_BETA1 << 2) * (gradient - mean);
  square += load<f32>(job, ONE_MINUS_BETA2 << 2) * (gradient * gradient - square);
  if (mean * mean < smallestSquare) mean = 0;
  if (square < smallestSquare) square = 0;
  store<f32>(m, mean);
  store<f32>(s, square);
  const move =
    (load<f32>(job, LEARNING_RATE << 2) * mean) /
    (sqrt<f32>(square) + load<f32>(job, EPSILON << 2));
  store<f32>(w, load<f32>(w) * load<f32>(job, KEEP << 2) - move);
}
