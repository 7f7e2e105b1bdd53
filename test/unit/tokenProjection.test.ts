import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Random } from '../../src/common/random.ts';
import { TokenProjection } from '../../src/lime/tokenProjection.ts';

const count = 90;
const width = 8;

/** Three bundles of directions; the rows' lengths say nothing. */
function bundles(): Float32Array {
  const random = new Random(2);
  return Float32Array.from({ length: count * width }, (_, at) => {
    const row = Math.floor(at / width);
    return (1 + row) * ((at % width === row % 3 ? 1 : 0) + 0.05 * random.normal());
  });
}

function project(rows: Float32Array, seed: number, steps = 300): Float32Array {
  const projection = new TokenProjection(rows, width, new Random(seed));
  for (let step = 0; step < steps; step++) projection.step();
  return projection.result();
}

describe('A projection of tokens', () => {
  it('puts rows of one direction together and others apart', () => {
    const points = project(bundles(), 1);
    const distance = (a: number, b: number) =>
      Math.hypot(
        (points[2 * a] ?? NaN) - (points[2 * b] ?? NaN),
        (points[2 * a + 1] ?? NaN) - (points[2 * b + 1] ?? NaN),
      );
    for (let a = 0; a < count; a++) {
      const others = [...Array(count).keys()].filter(b => b !== a);
      const nearest = others.sort((b, c) => distance(a, b) - distance(a, c)).slice(0, 10);
      assert.ok(nearest.every(b => b % 3 === a % 3));
    }
  });

  it('is the same for the same seed, and another for another', () => {
    assert.deepEqual(project(bundles(), 1, 20), project(bundles(), 1, 20));
    assert.notDeepEqual(project(bundles(), 1, 20), project(bundles(), 2, 20));
  });

  it('takes few rows, and rows of zeros', () => {
    const points = project(
      Float32Array.from({ length: 2 * width }, (_, i) => (i < width ? 0 : 1)),
      1,
    );
    assert.equal(points.length, 4);
    assert.ok(points.every(Number.isFinite));
  });
});
