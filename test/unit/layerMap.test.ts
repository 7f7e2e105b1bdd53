import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import { Random } from '../../src/common/random.ts';
import { Strongest } from '../../src/engine/lime/strongest.ts';
import { expectedInitialMap, identityMap, routerMap } from '../../src/lime/layerMap.ts';
import { MeanNorms } from '../../src/lime/meanNorms.ts';
import {
  bytesPerToken,
  IdentityShares,
  rowShares,
  TriangularShares,
} from '../../src/lime/routeShares.ts';
import { identityRouter, initialBound, initialRouter } from '../../src/models/lime.ts';

function near(found: ArrayLike<number>, expected: readonly number[], tolerance = 1e-6): void {
  assert.equal(found.length, expected.length);
  for (const [i, value] of expected.entries()) {
    assert.ok(Math.abs((found[i] ?? NaN) - value) < tolerance, `${i}: ${found[i]}, not ${value}`);
  }
}

describe("A router's map", () => {
  it('is the mean |R| over heads, and over source heads alone by head', () => {
    // Rows: heads that read. Columns: buffer 0's two heads, then buffer 1's.
    const router = Float32Array.of(1, -1, 2, 0, 0, 0, 1, -3);
    const { map, perHead } = routerMap(new Map([[1, router]]), { layers: 2, keyValueHeads: 2 });
    // Head 0: 1 and 1; head 1: 0 and 2; both: 1 and 3.
    near(perHead, [1, 0, 1, 0, 0.5, 0.5, 0, 1]);
    near(map, [1, 0, 0.25, 0.75]);
  });

  it('of three layers has rows that sum to 1 and nothing above the diagonal', () => {
    const random = new Random(4);
    const shape = { layers: 3, keyValueHeads: 2 };
    const routers = new Map(
      [1, 2].map(layer => [
        layer,
        Float32Array.from({ length: 4 * (layer + 1) }, () => random.normal()),
      ]),
    );
    const { map, perHead } = routerMap(routers, shape);
    for (const [rows, repeat] of [
      [map, 1],
      [perHead, 2],
    ] as const) {
      for (let row = 0; row < 3 * repeat; row++) {
        const values = rows.subarray(row * 3, row * 3 + 3);
        near([values.reduce((sum, value) => sum + value, 0)], [1]);
        assert.ok(values.subarray(Math.floor(row / repeat) + 1).every(value => value === 0));
      }
    }
  });

  it('of no routers, and of identity routers, is the diagonal', () => {
    const shape = { layers: 3, keyValueHeads: 2 };
    const routers = new Map([1, 2].map(layer => [layer, identityRouter(layer, 2)]));
    near(identityMap(shape).map, [1, 0, 0, 0, 1, 0, 0, 0, 1]);
    assert.deepEqual(routerMap(routers, shape), identityMap(shape));
  });

  it('of a router of zeros is a row of zeros', () => {
    const { map } = routerMap(new Map([[1, new Float32Array(2)]]), { layers: 2, keyValueHeads: 1 });
    near(map, [1, 0, 0, 0]);
  });

  it('at initialisation is no diagonal', () => {
    // 8 heads, the second layer: b = sqrt(3 / 16); 1/8 / (1/8 + b/2) = 0.366; of the 16th, 0.098.
    const { map, perHead } = expectedInitialMap({ layers: 16, keyValueHeads: 8 });
    const second = 0.125 / (0.125 + Math.sqrt(3 / 16) / 2);
    near([map[16] ?? 0, map[17] ?? 0], [1 - second, second]);
    near([second], [0.366], 1e-3);
    near([map[255] ?? 0], [0.125 / (0.125 + (15 * Math.sqrt(3 / 128)) / 2)]);
    near([map[255] ?? 0], [0.098], 1e-3);
    near(perHead.subarray(-16), [...map.subarray(-16)]);
  });

  it('at initialisation is what many initial routers give on the average', () => {
    const random = new Random(1);
    const [layer, heads, draws] = [2, 4, 4000];
    const sums = [0, 0, 0];
    const bound = initialBound(layer, heads);
    near([bound], [0.5]);
    for (let draw = 0; draw < draws; draw++) {
      const router = initialRouter(layer, heads, random);
      for (const [at, value] of router.entries()) {
        const column = at % 12;
        const isOwn = column - 8 === Math.floor(at / 12);
        if (column >= 8) assert.equal(value, isOwn ? 1 : 0);
        else assert.ok(value >= -bound && value < bound);
        const buffer = Math.floor(column / 4);
        sums[buffer] = (sums[buffer] ?? 0) + Math.abs(value);
      }
    }
    const total = sums.reduce((sum, value) => sum + value, 0);
    const { map } = expectedInitialMap({ layers: 3, keyValueHeads: heads });
    near(
      map.subarray(6),
      sums.map(sum => sum / total),
      2e-3,
    );
  });
});

describe('Contributions', () => {
  it('are shares of the mean over tokens', () => {
    const means = new MeanNorms({ layers: 2, keyValueHeads: 2 });
    means.add(1, Float32Array.of(1, 3, 2, 0)); // (T, KV, 2)
    means.add(1, Float32Array.of(1, 1, 0, 2, 4, 0, 0, 0));
    // Head 0: 6 and 4; head 1: 2 and 2.
    const { map, perHead } = means.map();
    near(perHead, [1, 0, 1, 0, 0.6, 0.4, 0.5, 0.5]);
    near(map, [1, 0, 8 / 14, 6 / 14]);
  });

  it('of tokens are rows of shares', () => {
    near(rowShares(Float32Array.of(1, 3, 0, 0, 5, 5), 2), [0.25, 0.75, 0, 0, 0.5, 0.5]);
  });

  it('of tokens are kept without the zeros behind each layer', () => {
    const shape = { layers: 3, heads: 2 };
    assert.equal(bytesPerToken(shape), 4 * 2 * 6);
    const shares = new TriangularShares(2, shape);
    shares.set(1, 1, Float32Array.of(1, 3, 4, 0)); // one token, (H, 2)
    shares.set(2, 0, Float32Array.of(1, 1, 2, 0, 0, 1, 5, 0, 5, 1, 0, 0)); // two tokens, (H, 3)
    const [first, second, third] = [shares.ofToken(1).subarray(0, 6), 6, 12];
    near(first, [1, 0, 0, 1, 0, 0]);
    near(shares.ofToken(1).subarray(second, third), [0.25, 0.75, 0, 1, 0, 0]);
    near(shares.ofToken(1).subarray(third), [0.5, 0, 0.5, 1, 0, 0]);
    near(shares.ofToken(0).subarray(third), [0.25, 0.25, 0.5, 0, 0, 1]);
    near(shares.ofRoute({ layer: 2, head: 0, buffer: 2 }), [0.5, 0.5]);
    near(shares.ofRoute({ layer: 1, head: 0, buffer: 1 }), [0, 0.75]);
    near(shares.ofRoute({ layer: 0, head: 1, buffer: 0 }), [1, 1]);
  });

  it('of identity routers are the own layer’s', () => {
    const shares = new IdentityShares(2, { layers: 2, heads: 2 });
    near(shares.ofToken(1), [1, 0, 1, 0, 0, 1, 0, 1]);
    near(shares.ofRoute({ layer: 1, head: 1, buffer: 1 }), [1, 1]);
    near(shares.ofRoute({ layer: 1, head: 1, buffer: 0 }), [0, 0]);
  });

  it('refuse what is not there', () => {
    for (const shares of [
      new TriangularShares(2, { layers: 2, heads: 2 }),
      new IdentityShares(2, { layers: 2, heads: 2 }),
    ]) {
      const strange = [
        () => shares.ofToken(2),
        () => shares.ofToken(-1),
        () => shares.ofRoute({ layer: 2, head: 0, buffer: 0 }),
        () => shares.ofRoute({ layer: 1, head: 2, buffer: 0 }),
        () => shares.ofRoute({ layer: 0, head: 0, buffer: 1 }),
        () => shares.ofRoute({ layer: 1, head: 0.5, buffer: 1 }),
      ];
      for (const ask of strange) assert.throws(ask, error => Failure.is(error, 'usage'));
    }
  });
});

describe('The strongest', () => {
  it('are those that sorting all gives, the earlier first where shares are equal', () => {
    const random = new Random(3);
    const all = Array.from({ length: 500 }, (_, at) => ({ share: random.below(60), at }));
    const strongest = new Strongest<(typeof all)[number]>(20);
    for (const item of all) strongest.offer(item.share, () => item);
    assert.deepEqual(strongest.list(), all.sort((a, b) => b.share - a.share).slice(0, 20));
  });

  it('may be fewer than are asked for', () => {
    const strongest = new Strongest<{ share: number }>(3);
    strongest.offer(0, () => ({ share: 0 }));
    assert.deepEqual(strongest.list(), [{ share: 0 }]);
  });
});
