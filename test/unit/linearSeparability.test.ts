import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Random } from '../../src/common/random.ts';
import { type LabelledRows, LinearClassifier } from '../../src/lime/linearClassifier.ts';
import {
  epochsFor,
  linearSeparability,
  spread,
  stepsOfEpoch,
  trainEpoch,
} from '../../src/lime/linearSeparability.ts';
import { SafetensorsFile } from '../../src/weights/safetensors.ts';
import { fixture } from '../engine/model.ts';

describe("The classifier agrees with the authors' code", () => {
  const layers = 2;
  const folds = 5;
  let goldens: SafetensorsFile;
  let test: Uint32Array[];
  let order: Uint32Array[];
  let weights: Float32Array;
  const data: LabelledRows[] = [];
  before(async () => {
    goldens = await SafetensorsFile.open(fixture('collapse/separability.safetensors'));
    const rows = await goldens.readFloat32('rows');
    const labels = Uint32Array.from((await goldens.read('labels')).data, Number);
    const width = goldens.tensors.get('rows')?.shape[2] ?? 0;
    const size = rows.length / layers;
    for (let layer = 0; layer < layers; layer++) {
      const own = rows.subarray(layer * size, (layer + 1) * size);
      data.push({ rows: own, labels, width, classes: 4 });
    }
    test = await integerRows('test');
    order = await integerRows('order');
    weights = await goldens.readFloat32('weights');
  });

  async function integerRows(name: string): Promise<Uint32Array[]> {
    const [count = 0, length = 0] = goldens.tensors.get(name)?.shape ?? [];
    const all = Uint32Array.from((await goldens.read(name)).data, Number);
    return Array.from({ length: count }, (_, i) => all.subarray(i * length, (i + 1) * length));
  }

  /** The classifier of a fold as it begins, and its weights after each step. */
  function fold(layer: number, index: number) {
    const own = data[layer];
    assert.ok(own);
    const size = own.classes * (own.width + 1);
    const steps = stepsOfEpoch(own.labels.length, folds);
    const first = (layer * folds + index) * (steps + 1) * size;
    const at = (step: number) => weights.subarray(first + step * size, first + (step + 1) * size);
    return { classifier: new LinearClassifier(own, Float64Array.from(at(0))), at, steps };
  }

  it('after every step', () => {
    for (let layer = 0; layer < layers; layer++) {
      for (let index = 0; index < folds; index++) {
        const { classifier, at, steps } = fold(layer, index);
        const rows = order[layer * folds + index] ?? new Uint32Array();
        assert.equal(rows.length, 320);
        for (let step = 0; step < steps; step++) {
          classifier.step(rows.subarray(64 * step, 64 * (step + 1)));
          for (const [i, expected] of at(step + 1).entries()) {
            assert.ok(Math.abs((classifier.weights[i] ?? NaN) - expected) < 1e-6);
          }
        }
      }
    }
  });

  it('in its accuracy on the same folds', async () => {
    for (let layer = 0; layer < layers; layer++) {
      const { mean, deviation } = spread(
        Array.from({ length: folds }, (_, index) => {
          const { classifier } = fold(layer, index);
          trainEpoch(classifier, order[layer * folds + index] ?? new Uint32Array());
          return classifier.accuracy(test[layer * folds + index] ?? new Uint32Array());
        }),
      );
      const golden = async (name: string) => Number((await goldens.read(name)).data[layer]);
      // Theirs is rounded to float32 batch by batch.
      assert.ok(Math.abs(mean - (await golden('test_acc'))) < 1e-7);
      assert.ok(Math.abs(deviation - (await golden('test_acc_std'))) < 1e-7);
    }
  });
});

describe('Linear separability', () => {
  const count = 700;
  const width = 6;

  /** Rows of four classes that lie `distance` apart. */
  function clusters(distance: number): LabelledRows {
    const random = new Random(11);
    const labels = Uint32Array.from({ length: count }, (_, i) => i % 4);
    const rows = Float32Array.from({ length: count * width }, (_, at) => {
      const isOwn = at % width === labels[Math.floor(at / width)];
      return random.normal() + (isOwn ? distance : 0);
    });
    return { rows, width, labels, classes: 4 };
  }

  const measure = (data: LabelledRows, seed = 1, epochs = 10) =>
    linearSeparability(data, { folds: 5, epochs }, new Random(seed));

  it('is 1 for what is far apart, and chance for what is not', () => {
    assert.ok(measure(clusters(20)).mean > 0.99);
    assert.ok(Math.abs(measure(clusters(0)).mean - 0.25) < 0.06);
  });

  it('is the same for the same seed, and another for another', () => {
    const data = clusters(1);
    assert.deepEqual(measure(data), measure(data));
    assert.notDeepEqual(measure(data), measure(data, 2));
  });

  it('does not look at rows that it is tested on', () => {
    // Each row has a feature of its own: whoever had seen it would know its class.
    const labels = Uint32Array.from({ length: 40 }, (_, i) => (i * 7 + (i >> 2)) % 2);
    const rows = Float32Array.from({ length: 1600 }, (_, at) => (at % 41 === 0 ? 50 : 0));
    const { mean } = measure({ rows, width: 40, labels, classes: 2 }, 3, 40);
    assert.ok(mean < 0.8, String(mean));
  });

  it('takes as many steps as the authors where there are fewer rows', () => {
    assert.equal(epochsFor(4 * 1668, 5), 1);
    assert.equal(stepsOfEpoch(400, 5), 5);
    assert.equal(epochsFor(400, 5), 17);
  });
});
