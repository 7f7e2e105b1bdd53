import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compileKernel } from '../../scripts/buildKernel.mjs';
import { Random } from '../../src/common/random.ts';
import { RuntimeEncoder } from '../../src/engine/training/trainerEncoder.ts';
import { budgetsOf } from '../../src/training/objective.ts';
import { TrainingKernel } from '../../src/training/kernel/trainingKernel.ts';
import { PlainEncoder } from '../unit/training/toy.ts';

describe('RuntimeEncoder', () => {
  for (const { width, features, k } of [
    { width: 16, features: 64, k: 8 },
    { width: 19, features: 33, k: 5 },
  ]) {
    it(`finds what plain loops find: D = ${width}, F = ${features}, K = ${k}`, async () => {
      const kernel = await TrainingKernel.open(await compileKernel(), {
        features,
        width,
        k,
        batch: 20,
        budgets: budgetsOf('hierarchical', k),
        auxiliaryK: 4,
        decoderBias: true,
        separateTarget: false,
        unitDecoder: false,
        threads: 2,
      });
      const encoder = await RuntimeEncoder.open(kernel);
      try {
        const random = new Random(4);
        for (const array of [kernel.encoder.value, kernel.input]) {
          array.forEach((_, p) => (array[p] = p % kernel.stride < width ? random.normal() : 0));
        }
        kernel.encoderBias.value.forEach((_, f, bias) => (bias[f] = random.normal() - 1));
        const found = () => ({
          values: Array.from(kernel.values),
          indices: Array.from(kernel.indices, Number),
          auxiliary: Array.from(kernel.auxiliaryIndices, Number),
          auxiliaryValues: Array.from(kernel.auxiliaryValues),
        });
        for (const dead of [Uint32Array.of(30, 2, 7, 11, 12), Uint32Array.of(3, 1)]) {
          const plain = new PlainEncoder(kernel);
          await plain.encode();
          const slots = await plain.encodeDead(dead);
          const expected = found();
          kernel.values.fill(0);
          kernel.indices.fill(0n);
          kernel.auxiliaryValues.fill(0);
          kernel.auxiliaryIndices.fill(0n);
          await encoder.encode();
          assert.equal(await encoder.encodeDead(dead), slots);
          const actual = found();
          assert.deepEqual(actual.indices, expected.indices);
          assert.deepEqual(
            actual.auxiliary.slice(0, 20 * slots),
            expected.auxiliary.slice(0, 20 * slots),
          );
          const close = (a: readonly number[], b: readonly number[]) =>
            a.every((value, i) => Math.abs(value - (b[i] ?? NaN)) < 1e-4);
          assert.ok(close(actual.values, expected.values));
          assert.ok(close(actual.auxiliaryValues.slice(0, 20 * slots), expected.auxiliaryValues));
          kernel.encoder.value.forEach((w, p, all) => (all[p] = -w));
        }
      } finally {
        await encoder.dispose();
        await kernel.dispose();
      }
    });
  }
});
