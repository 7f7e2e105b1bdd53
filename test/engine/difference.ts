import assert from 'node:assert/strict';

/** The largest difference of any element, relative to the largest element of `b`. */
export function difference(a: Float32Array | undefined, b: Float32Array | undefined): number {
  assert.ok(a && b);
  assert.equal(a.length, b.length);
  assert.ok(a.every(Number.isFinite));
  const largest = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? NaN))), 0) / largest;
}
