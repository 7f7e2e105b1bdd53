// Row arithmetic on 128-bit vectors. A row is n bytes, n a multiple of 32; loops are unrolled by two vectors.
// @ts-nocheck: AssemblyScript, checked by asc.

/** a * b + c in two roundings: the same bits on every machine, which a relaxed fused one would not give. */
export function multiplyAdd(a: v128, b: v128, c: v128): v128 {
  return f32x4.add(f32x4.mul(a, b), c);
}

function horizontalSum(v: v128): f32 {
  const low = f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1);
  return low + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

/** to += factor * row */
export function addScaled(to: usize, factor: f32, row: usize, n: usize): void {
  const f = f32x4.splat(factor);
  for (let t: usize = 0; t < n; t += 32) {
    v128.store(to + t, multiplyAdd(f, v128.load(row + t), v128.load(to + t)));
    v128.store(to + t, multiplyAdd(f, v128.load(row + t, 16), v128.load(to + t, 16)), 16);
  }
}

/** to += factor * row; copy = to; returns |to|^2 */
export function addScaledCopySquare(
  to: usize,
  factor: f32,
  row: usize,
  copy: usize,
  n: usize,
): f32 {
  const f = f32x4.splat(factor);
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  for (let t: usize = 0; t < n; t += 32) {
    const z0 = multiplyAdd(f, v128.load(row + t), v128.load(to + t));
    const z1 = multiplyAdd(f, v128.load(row + t, 16), v128.load(to + t, 16));
    v128.store(to + t, z0);
    v128.store(to + t, z1, 16);
    v128.store(copy + t, z0);
    v128.store(copy + t, z1, 16);
    s0 = multiplyAdd(z0, z0, s0);
    s1 = multiplyAdd(z1, z1, s1);
  }
  return horizontalSum(f32x4.add(s0, s1));
}

/** sum += factor * term; term = sum; returns <sum, row> */
export function accumulateDot(sum: usize, factor: f32, term: usize, row: usize, n: usize): f32 {
  const f = f32x4.splat(factor);
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  for (let t: usize = 0; t < n; t += 32) {
    const z0 = multiplyAdd(f, v128.load(term + t), v128.load(sum + t));
    const z1 = multiplyAdd(f, v128.load(term + t, 16), v128.load(sum + t, 16));
    v128.store(sum + t, z0);
    v128.store(sum + t, z1, 16);
    v128.store(term + t, z0);
    v128.store(term + t, z1, 16);
    s0 = multiplyAdd(z0, v128.load(row + t), s0);
    s1 = multiplyAdd(z1, v128.load(row + t, 16), s1);
  }
  return horizontalSum(f32x4.add(s0, s1));
}

/** <a, b> */
export function dot(a: usize, b: usize, n: usize): f32 {
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  for (let t: usize = 0; t < n; t += 32) {
    s0 = multiplyAdd(v128.load(a + t), v128.load(b + t), s0);
    s1 = multiplyAdd(v128.load(a + t, 16), v128.load(b + t, 16), s1);
  }
  return horizontalSum(f32x4.add(s0, s1));
}

/** to = a - b, where a = 0 stands for a row of zeros */
export function subtract(to: usize, a: usize, b: usize, n: usize): void {
  for (let t: usize = 0; t < n; t += 16) {
    const minuend = a ? v128.load(a + t) : f32x4.splat(0);
    v128.store(to + t, f32x4.sub(minuend, v128.load(b + t)));
  }
}

/** to += a */
export function add(to: usize, a: usize, n: usize): void {
  for (let t: usize = 0; t < n; t += 16)
    v128.store(to + t, f32x4.add(v128.load(to + t), v128.load(a + t)));
}

/** row /= |row|; a row of zeros stays */
export function normalize(row: usize, n: usize): void {
  const square = dot(row, row, n);
  if (square <= 0) return;
  const factor = f32x4.splat(<f32>1 / sqrt<f32>(square));
  for (let t: usize = 0; t < n; t += 16) v128.store(row + t, f32x4.mul(v128.load(row + t), factor));
}
