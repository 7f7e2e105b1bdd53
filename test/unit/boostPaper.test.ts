import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { armsOf, methods, nameOf } from '../../bench/papers/boost/arms.ts';
import { Ledger } from '../../bench/papers/boost/ledger.ts';
import { bodyPaths } from '../../bench/papers/boost/material.ts';
import {
  chosenFeatures,
  mostChanged,
  perturbed,
  placeWeights,
  withExchanged,
  withFeatures,
} from '../../bench/papers/boost/weights.ts';
import { frozenFeatures } from '../../bench/papers/frozenFeatures.ts';
import { Failure } from '../../src/common/failure.ts';
import { Random } from '../../src/common/random.ts';
import type { Dictionary } from '../../src/saes/dictionary.ts';
import { Trainer, type TrainerParts } from '../../src/training/trainer.ts';
import { openPlainBackend } from './training/plainBackend.ts';
import { ToyActivations, toySettings } from './training/toy.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-boost-paper-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const [F, D] = [toySettings.features, 16];

function toyDictionary(width = F): Dictionary {
  const random = new Random(5);
  const normal = (length: number) => Float32Array.from({ length }, () => random.normal());
  return {
    ...{ name: 'toy', hook: toySettings.hook, model: undefined, provenance: {} },
    ...{ width, inputWidth: D, encoder: normal(width * D), encoderBias: normal(width) },
    ...{ decoder: normal(width * D), decoderBias: normal(D), subtractDecoderBias: false },
    rule: { kind: 'topk', maxK: 3 },
    tokenPolicy: { excludeFirst: true, maxNorm: Infinity },
  };
}

async function toyTrainer(name: string, more: Partial<TrainerParts> = {}): Promise<Trainer> {
  return Trainer.open({
    settings: toySettings,
    source: new ToyActivations(),
    folder: join(folder, name),
    openBackend: openPlainBackend,
    ...more,
  });
}

const description = { name: 'toy', model: undefined, provenance: {} };

function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  assert.equal(actual.length, expected.length);
  for (let i = 0; i < actual.length; i++) {
    const [a = NaN, b = NaN] = [actual[i], expected[i]];
    assert.ok(Math.abs(a - b) <= 1e-6 * (1 + Math.abs(b)), `${a} and ${b} at ${i}`);
  }
}

describe('a training that begins with the weights of a dictionary', () => {
  it('gives that dictionary before the first step', async () => {
    const start = toyDictionary();
    const trainer = await toyTrainer('round-trip', {
      begin: (kernel, statistics) => placeWeights(kernel, statistics, start),
    });
    try {
      assert.notEqual(trainer.snapshot.statistics.scale, 1);
      const given = trainer.dictionary(description);
      assertClose(given.encoder, start.encoder);
      assertClose(given.encoderBias, start.encoderBias);
      assertClose(given.decoder, start.decoder);
      assertClose(given.decoderBias ?? [], start.decoderBias ?? []);
    } finally {
      await trainer.dispose();
    }
  });

  it('leaves frozen features as they are and trains the others', async () => {
    const frozen = 20;
    const trainer = await toyTrainer('frozen');
    const restore = frozenFeatures(trainer.backend.arrays, frozen);
    try {
      const first = trainer.dictionary(description);
      await trainer.run({
        afterStep: () => {
          restore();
          return Promise.resolve();
        },
      });
      const last = trainer.dictionary(description);
      for (const name of ['encoder', 'decoder'] as const) {
        assert.deepEqual(last[name].subarray(0, frozen * D), first[name].subarray(0, frozen * D));
        assert.notDeepEqual(last[name].subarray(frozen * D), first[name].subarray(frozen * D));
      }
      assert.deepEqual(last.decoderBias, first.decoderBias);
    } finally {
      await trainer.dispose();
    }
  });
});

describe('features taken from one dictionary into another', () => {
  const before = toyDictionary(6);

  it('are those that turned most, whatever their lengths', () => {
    const encoder = before.encoder.map(w => 3 * w);
    const decoder = before.decoder.slice();
    encoder.subarray(4 * D, 5 * D).forEach((w, d, row) => (row[d] = -w)); // cosine -1
    decoder[2 * D] = (decoder[2 * D] ?? 0) + 5; // a little
    assert.deepEqual([...mostChanged(before, { ...before, encoder, decoder }, 2)], [4, 2]);
  });

  it('are appended, or take the place of what they were', () => {
    const after = { ...toyDictionary(6), encoderBias: Float32Array.of(10, 11, 12, 13, 14, 15) };
    after.encoder.fill(7, 3 * D, 4 * D);
    const features = Uint32Array.of(3, 1);
    const wider = withFeatures(before, chosenFeatures(after, features));
    assert.equal(wider.width, 8);
    assert.deepEqual([...wider.encoderBias.subarray(6)], [13, 11]);
    assert.deepEqual(wider.encoder.subarray(6 * D, 7 * D), new Float32Array(D).fill(7));
    assert.deepEqual(wider.encoder.subarray(0, 6 * D), before.encoder);
    const exchanged = withExchanged(before, after, features);
    assert.equal(exchanged.width, 6);
    const [b0, , b2] = before.encoderBias;
    assert.deepEqual([...exchanged.encoderBias.subarray(0, 4)], [b0, 11, b2, 13]);
    assert.notEqual(before.encoderBias[1], 11);
  });

  it('are moved by a share of their length', () => {
    const moved = perturbed(before, 0.1, 1);
    for (let f = 0; f < 6; f++) {
      const row = (matrix: Float32Array) => matrix.subarray(f * D, (f + 1) * D);
      const difference = row(moved.encoder).map((w, d) => w - (row(before.encoder)[d] ?? NaN));
      const share = Math.hypot(...difference) / Math.hypot(...row(before.encoder));
      assert.ok(Math.abs(share - 0.1) < 1e-6, String(share));
    }
  });
});

describe('the plan of the experiment', () => {
  it('trains the main settings of every domain once, by names of their own', () => {
    const arms = armsOf({
      ...{ methods, domains: ['a', 'b'], baseK: 64, ks: [5, 10], tokens: 300, seeds: 2 },
      budgets: [30],
    });
    const names = arms.map(nameOf);
    assert.equal(new Set(names).size, names.length);
    for (const domain of ['a', 'b']) {
      assert.ok(names.includes(`${domain}.boost.k5.300.0`));
      assert.ok(names.includes(`${domain}.boost.k5.30.0`));
      assert.ok(names.includes(`${domain}.fine-tuned.k64.300.0`));
      assert.ok(names.includes(`${domain}.extended-random.k64.300.0`));
    }
  });

  it('reads names and places of text', () => {
    const expected = { name: 'a', train: 'x=1.txt', heldOut: 'y.txt' };
    assert.deepEqual(bodyPaths('a=x=1.txt,y.txt'), expected);
    assert.deepEqual(bodyPaths('x,y', 'general'), { name: 'general', train: 'x', heldOut: 'y' });
    for (const wrong of ['x,y', 'a=x', 'a=x,y,z', '=x,y'])
      assert.throws(
        () => bodyPaths(wrong),
        error => Failure.is(error, 'usage'),
      );
  });
});

describe('the ledger of measurements', () => {
  it('computes what is missing and nothing twice, also when opened again', async () => {
    const path = join(folder, 'ledger', 'measures.json');
    const asked: number[][] = [];
    const compute = (missing: readonly number[]): Promise<number[]> => {
      asked.push([...missing]);
      return Promise.resolve(missing.map(index => 10 * index));
    };
    const ledger = await Ledger.open(path);
    assert.deepEqual(await ledger.values(['a', 'b'], compute), [0, 10]);
    const again = await Ledger.open(path);
    assert.deepEqual(await again.values(['a', 'c', 'b'], compute), [0, 10, 10]);
    assert.deepEqual(asked, [[0, 1], [1]]);
  });
});
