import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Failure } from '../../../src/common/failure.ts';
import { ResidualActivations } from '../../../src/engine/boost/residualActivations.ts';
import type {
  ActivationSource,
  ActivationWindow,
} from '../../../src/training/activations/activations.ts';
import { firstWindows } from '../../../src/training/activations/firstWindows.ts';
import { joinedSources } from '../../../src/training/activations/joinedSources.ts';
import { ToyActivations } from './toy.ts';

/** The toy's first windows, and which of them were read. */
class Counted implements ActivationSource {
  readonly width = 16;
  readonly windowLength = 16;
  readonly windows: number;
  readonly reads: number[] = [];
  private readonly source = new ToyActivations(10);

  constructor(windows: number) {
    this.windows = windows;
  }

  read(first: number, count: number): Promise<readonly ActivationWindow[]> {
    assert.ok(first >= 0 && first + count <= this.windows, `${first}, ${count}`);
    for (let w = first; w < first + count; w++) this.reads.push(w);
    return this.source.read(first, count);
  }
}

describe('joinedSources', () => {
  it('gives every window of the whole, and computes only what is not stored', async () => {
    const all = await new ToyActivations(10).read(0, 10);
    for (const kept of [0, 4, 10]) {
      for (let first = 0; first < 10; first++) {
        for (let count = 0; first + count <= 10; count++) {
          const [stored, computed] = [new Counted(kept), new Counted(10)];
          const both = joinedSources(stored, computed, kept);
          assert.equal(both.windows, 10);
          assert.deepEqual(await both.read(first, count), all.slice(first, first + count));
          assert.ok(stored.reads.every(w => w < kept));
          assert.ok(computed.reads.every(w => w >= kept));
          assert.equal(stored.reads.length + computed.reads.length, count);
        }
      }
    }
  });

  it('gives all of one and then all of the other', async () => {
    const all = await new ToyActivations(10).read(0, 10);
    const expected = [...all.slice(0, 4), ...all.slice(0, 6)];
    const joined = joinedSources(new Counted(4), new Counted(6));
    assert.equal(joined.windows, 10);
    for (let first = 0; first < 10; first++) {
      for (let count = 1; first + count <= 10; count++)
        assert.deepEqual(await joined.read(first, count), expected.slice(first, first + count));
    }
  });
});

describe('firstWindows', () => {
  it('is the beginning of its source', async () => {
    const first = firstWindows(new ToyActivations(10), 3);
    assert.deepEqual([first.windows, first.width, first.windowLength], [3, 16, 16]);
    assert.deepEqual(await first.read(1, 2), await new ToyActivations(10).read(1, 2));
    assert.equal(firstWindows(new ToyActivations(10), 30).windows, 10);
  });
});

describe('ResidualActivations', () => {
  it('reads x and has x - xhat as its target, with the base at its k', async () => {
    const asked: number[] = [];
    const base = {
      encode: (x: Float32Array) =>
        Promise.resolve({ k: 1, features: new Uint32Array(x.length), activations: x }),
      reconstruct: ({ activations }: { readonly activations: Float32Array }, k: number) => {
        asked.push(k);
        return activations.map(value => value / 4);
      },
    };
    const source = new ToyActivations(3);
    const errors = new ResidualActivations(source, base, 7);
    const windows = await errors.read(0, 2);
    const [plain] = await source.read(0, 1);
    assert.deepEqual(asked, [7, 7]);
    assert.deepEqual(windows[0]?.activations, plain?.activations);
    windows[0]?.target?.forEach((e, i) => {
      const x = plain?.activations[i] ?? NaN;
      assert.equal(e, Math.fround(x - Math.fround(x / 4)));
    });
    const stop = new AbortController();
    stop.abort(new Failure('cancelled', 'Stop.'));
    await assert.rejects(errors.read(0, 2, stop.signal), /Stop/);
  });
});
