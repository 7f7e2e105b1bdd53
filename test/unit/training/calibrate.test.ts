import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Random } from '../../../src/common/random.ts';
import {
  harmlessThresholds,
  includedRows,
  thresholdForL0,
  withThreshold,
  type Candidates,
} from '../../../src/training/calibrate.ts';
import { evenlySpread } from '../../../src/training/activations/evenlySpread.ts';
import { randomDictionary } from '../dictionaries.ts';

const [T, F, D, K] = [60, 12, 8, 6];

/** Features of random strength on each token; a coarse grid gives equal activations. */
function candidates(seed: number, grid?: number): Candidates {
  const random = new Random(seed);
  const features = new Uint32Array(T * K);
  const activations = new Float32Array(T * K);
  for (let t = 0; t < T; t++) {
    const order = random.shuffle(Uint32Array.from({ length: F }, (_, f) => f));
    features.set(order.subarray(0, K), t * K);
    const values = Array.from({ length: K }, () => {
      const value = Math.max(0, random.normal() + 0.5);
      return grid === undefined ? value : Math.round(value / grid) * grid;
    });
    activations.set(
      values.sort((a, b) => b - a),
      t * K,
    );
  }
  const target = Float32Array.from({ length: T * D }, () => random.normal());
  return { encoding: { k: K, features, activations }, target };
}

describe('thresholdForL0', () => {
  it('lets as many fire as asked for, per token', () => {
    for (const perToken of [0.5, 1, 2.25]) {
      const given = candidates(1);
      const threshold = thresholdForL0(given, perToken);
      const firing = given.encoding.activations.filter(a => a > threshold).length;
      assert.equal(firing, Math.round(perToken * T));
    }
  });

  it('lets all fire where there are no more than that', () => {
    assert.equal(thresholdForL0(candidates(1), K), 0);
    const given = candidates(2);
    const positive = given.encoding.activations.filter(a => a > 0).length;
    assert.equal(thresholdForL0(given, positive / T), 0);
    const none = { k: K, features: new Uint32Array(0), activations: new Float32Array(0) };
    assert.equal(thresholdForL0({ encoding: none, target: new Float32Array(0) }, 3), 0);
  });
});

describe('harmlessThresholds', () => {
  const { decoder } = randomDictionary({ seed: 3, width: F, inputWidth: D });

  /** Squared error of the target where only this feature fires, and only above the threshold. */
  function errorAt({ encoding, target }: Candidates, feature: number, threshold: number): number {
    let error = 0;
    for (let t = 0; t < T; t++) {
      const left = Float64Array.from(target.subarray(t * D, (t + 1) * D));
      for (let j = t * K; j < (t + 1) * K; j++) {
        const a = encoding.activations[j] ?? NaN;
        if (encoding.features[j] !== feature || !(a > threshold)) continue;
        for (let d = 0; d < D; d++)
          left[d] = (left[d] ?? NaN) - a * (decoder[feature * D + d] ?? NaN);
      }
      error += left.reduce((sum, e) => sum + e * e, 0);
    }
    return error;
  }

  for (const grid of [undefined, 0.25]) {
    it(`finds of all thresholds the one with the least error, feature by feature${grid ? ', among equal activations' : ''}`, () => {
      for (let seed = 1; seed <= 8; seed++) {
        const given = candidates(seed, grid);
        const lowest = 0.3;
        const found = harmlessThresholds({ decoder, inputWidth: D, width: F }, given, lowest);
        for (let f = 0; f < F; f++) {
          const all = [
            lowest,
            ...given.encoding.activations.filter(
              (a, p) => a > lowest && given.encoding.features[p] === f,
            ),
          ];
          const least = Math.min(...all.map(threshold => errorAt(given, f, threshold)));
          const reached = errorAt(given, f, found[f] ?? NaN);
          assert.ok(reached - least < 1e-4, `seed ${seed}, feature ${f}: ${reached}, ${least}`);
          assert.ok((found[f] ?? NaN) >= Math.fround(lowest));
        }
      }
    });
  }

  it('leaves a feature alone that never fires there, and silences one that only harms', () => {
    const encoding = {
      k: 1,
      features: Uint32Array.of(4, 4, 5),
      activations: Float32Array.of(2, 1, 3),
    };
    const row = decoder.subarray(4 * D, 5 * D);
    const target = new Float32Array(3 * D);
    target.set(row.map(w => -w));
    target.set(
      row.map(w => -w),
      D,
    );
    target.set(
      decoder.subarray(5 * D, 6 * D).map(w => 3 * w),
      2 * D,
    );
    const found = harmlessThresholds(
      { decoder, inputWidth: D, width: F },
      { encoding, target },
      0.5,
    );
    assert.equal(found[0], 0.5);
    assert.equal(found[4], 2);
    assert.equal(found[5], 0.5);
  });
});

describe('includedRows', () => {
  it('gives the tokens that the policy counts, with their targets', () => {
    const x = Float32Array.from({ length: 4 * D }, (_, i) => i);
    const target = x.map(value => -value);
    const window = { tokenIds: new Uint32Array(4), activations: x, target };
    const norm = Math.hypot(...x.subarray(2 * D, 3 * D));
    const policy = { excludeFirst: true, maxNorm: norm };
    const rows = includedRows([window, window], { inputWidth: D, tokenPolicy: policy });
    const kept = [...x.subarray(D, 3 * D)];
    assert.deepEqual([...rows.x], [...kept, ...kept]);
    assert.deepEqual(
      [...rows.target],
      [...kept, ...kept].map(value => -value),
    );
  });
});

describe('withThreshold', () => {
  it('makes a JumpReLU of any rule', () => {
    const dictionary = randomDictionary({ seed: 1, width: 3, inputWidth: 2 });
    const { rule } = withThreshold(dictionary, 0.5);
    assert.deepEqual(rule, { kind: 'jumprelu', threshold: Float32Array.of(0.5, 0.5, 0.5) });
  });
});

describe('evenlySpread', () => {
  it('takes all where there are few, else numbers at equal distances from the first on', () => {
    assert.deepEqual(evenlySpread(4, 3), [0, 1, 2]);
    assert.deepEqual(evenlySpread(4, 100), [0, 25, 50, 75]);
    assert.deepEqual(evenlySpread(4, 0), []);
  });
});
