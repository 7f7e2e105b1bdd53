import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Random } from '../../src/common/random.ts';
import { FeatureMoments } from '../../src/lime/featureMoments.ts';
import { spread } from '../../src/lime/linearSeparability.ts';
import { matrixEntropy } from '../../src/lime/matrixEntropy.ts';
import { symmetricEigenvalues } from '../../src/lime/symmetricEigenvalues.ts';
import { SafetensorsFile } from '../../src/weights/safetensors.ts';
import { fixture } from '../engine/model.ts';

const layers = 16;
const samples = 3;

function assertClose(actual: number, expected: number, tolerance: number): void {
  const difference = Math.abs(actual - expected) / Math.max(Math.abs(expected), 1e-12);
  assert.ok(difference < tolerance, `${actual} is not ${expected}: ${difference.toExponential(1)}`);
}

describe("Matrix entropy agrees with the authors' code", () => {
  let goldens: SafetensorsFile;
  before(async () => {
    goldens = await SafetensorsFile.open(fixture('collapse/entropy.safetensors'));
  });

  /** Mean and standard deviation over a layer's samples. */
  async function measured(name: string, alpha: number) {
    const [, , tokens = 0, width = 0] = goldens.tensors.get(name)?.shape ?? [];
    const all = await goldens.readFloat32(name);
    return Array.from({ length: layers }, (_, layer) => {
      const size = tokens * width;
      const sample = (i: number) => all.subarray((layer * samples + i) * size).subarray(0, size);
      const moments = new FeatureMoments(width);
      for (let i = 0; i < samples; i++) moments.add(sample(i));
      return spread(
        Array.from({ length: samples }, (_, i) =>
          matrixEntropy(moments.normalised(sample(i)), width, alpha),
        ),
      );
    });
  }

  async function float64(name: string): Promise<number[]> {
    return Array.from((await goldens.read(name)).data, Number);
  }

  for (const [name, alpha] of [0.5, 0.99, 2, 1].flatMap(
    alpha =>
      [
        ['wide', alpha],
        ['tall', alpha],
      ] as const,
  )) {
    const golden = alpha === 2 ? '2.0' : String(alpha);
    it(`of ${name} samples at alpha ${alpha}`, async () => {
      const actual = await measured(name, alpha);
      const expected = await float64(`${name}.${golden}`);
      // Of more tokens than features their Gram matrix has zeros, which rounding makes about 1e-16: 1e-8 at alpha 0.5.
      const tolerance = name === 'tall' && alpha < 1 ? 1e-6 : 1e-9;
      for (const [layer, { mean, deviation }] of actual.entries()) {
        assertClose(mean, expected[layer] ?? NaN, tolerance);
        assertClose(deviation, expected[layers + layer] ?? NaN, 1e3 * tolerance);
      }
    });
    // Of wide samples at small alpha it is theirs that then has zeros.
    if (alpha === 1 || (name === 'wide' && alpha < 1)) continue;
    it(`of ${name} samples at alpha ${alpha}, on the smaller Gram matrix`, async () => {
      const actual = await measured(name, alpha);
      for (const [layer, expected] of (await float64(`${name}.small.${golden}`)).entries()) {
        assertClose(actual[layer]?.mean ?? NaN, expected, 1e-9);
      }
    });
  }
});

describe('Matrix entropy', () => {
  it('is the logarithm of the number of directions, at every alpha', () => {
    const identity = Float64Array.from({ length: 25 }, (_, i) => (i % 6 === 0 ? 3 : 0));
    for (const alpha of [0.5, 1, 2])
      assertClose(matrixEntropy(identity, 5, alpha), Math.log(5), 1e-12);
  });

  it('is 0 where all rows are parallel', () => {
    const rows = Float64Array.from(
      { length: 40 },
      (_, i) => ((i % 5) + 1) * (Math.floor(i / 5) + 1),
    );
    assert.ok(Math.abs(matrixEntropy(rows, 5, 2)) < 1e-12);
  });

  it('goes over into its limit at alpha 1', () => {
    const random = new Random(3);
    const rows = Float64Array.from({ length: 60 }, () => random.normal());
    const between = (matrixEntropy(rows, 6, 0.9999) + matrixEntropy(rows, 6, 1.0001)) / 2;
    assertClose(matrixEntropy(rows, 6, 1), between, 1e-7);
  });
});

describe('Eigenvalues of a symmetric matrix', () => {
  it('are those of matrices whose eigenvalues are known', () => {
    // The second difference: 2 - 2 cos(pi k / (n + 1)).
    for (const n of [1, 2, 3, 50]) {
      const a = Float64Array.from({ length: n * n }, (_, at) => {
        const apart = Math.abs(Math.floor(at / n) - (at % n));
        return apart === 0 ? 2 : apart === 1 ? -1 : 0;
      });
      for (const [k, value] of symmetricEigenvalues(a, n).entries()) {
        assertClose(value, 2 - 2 * Math.cos((Math.PI * (k + 1)) / (n + 1)), 1e-11);
      }
    }
    const rank1 = symmetricEigenvalues(Float64Array.of(1, 2, 3, 2, 4, 6, 3, 6, 9), 3);
    assert.ok(Math.abs(rank1[0] ?? 1) + Math.abs(rank1[1] ?? 1) < 1e-14);
    assertClose(rank1[2] ?? 0, 14, 1e-14);
    assert.deepEqual(symmetricEigenvalues(new Float64Array(9), 3), new Float64Array(3));
  });

  it('are found of matrices of low rank too, with their sum and the sum of their squares', () => {
    for (let seed = 0; seed < 60; seed++) {
      const random = new Random(seed);
      const [n, rank] = [20 + random.below(40), 1 + random.below(20)];
      const decay = 0.5 * random.uniform();
      const row = () =>
        Float64Array.from({ length: rank }, (_, k) => random.normal() * 10 ** (-decay * k));
      const rows = Array.from({ length: n }, row);
      // Rows that are alike, and one of zeros.
      rows[1] = rows[0] ?? row();
      rows[2] = new Float64Array(rank);
      const gram = rows.flatMap(a =>
        rows.map(b => a.reduce((sum, x, k) => sum + x * (b[k] ?? NaN), 0)),
      );
      const trace = gram.reduce((sum, x, at) => sum + (at % (n + 1) === 0 ? x : 0), 0);
      const squares = gram.reduce((sum, x) => sum + x * x, 0);
      const found = symmetricEigenvalues(Float64Array.from(gram), n);
      assertClose(
        found.reduce((sum, x) => sum + x, 0),
        trace,
        1e-12,
      );
      assertClose(
        found.reduce((sum, x) => sum + x * x, 0),
        squares,
        1e-12,
      );
    }
  });

  it('are those of a diagonal that random reflections have filled', () => {
    const random = new Random(5);
    const n = 40;
    const expected = Float64Array.from({ length: n }, (_, i) => 10 ** (i / 8 - 3));
    let a = Float64Array.from({ length: n * n }, (_, at) =>
      at % (n + 1) === 0 ? (expected[at % n] ?? NaN) : 0,
    );
    for (let times = 0; times < 4; times++) {
      const v = Float64Array.from({ length: n }, () => random.normal());
      const h = v.reduce((sum, x) => sum + x * x, 0) / 2;
      const q = (i: number, j: number) => (i === j ? 1 : 0) - ((v[i] ?? 0) * (v[j] ?? 0)) / h;
      const times = (x: (i: number, j: number) => number, y: (i: number, j: number) => number) =>
        Float64Array.from({ length: n * n }, (_, at) =>
          expected.reduce((sum, _, k) => sum + x(Math.floor(at / n), k) * y(k, at % n), 0),
        );
      const of = (m: Float64Array) => (i: number, j: number) => m[i * n + j] ?? NaN;
      a = times(q, of(times(of(a), q)));
    }
    for (const [i, value] of symmetricEigenvalues(a, n).entries()) {
      assert.ok(Math.abs(value - (expected[i] ?? NaN)) < 1e-12 * 100, `${i}: ${value}`);
    }
  });
});
