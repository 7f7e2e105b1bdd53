import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Random } from '../../../src/common/random.ts';
import { AdamW } from '../../../src/training/adamW.ts';
import { adamReference } from '../../../src/training/reference/reference.ts';

it('AdamW moves float32 weights as the float64 reference does', () => {
  const random = new Random(3);
  const length = 20;
  const weights = Float32Array.from({ length }, () => random.normal());
  const expected = Float64Array.from(weights);
  const moments = AdamW.moments(length);
  const first = new Float64Array(length);
  const second = new Float64Array(length);
  const settings = { weightDecay: 0.1, beta1: 0.9, beta2: 0.95, epsilon: 1e-8 };
  const optimiser = new AdamW({ weightDecay: 0.1 });
  for (let step = 1; step <= 10; step++) {
    const gradient = Float64Array.from({ length }, () => random.normal());
    optimiser.step(weights, gradient, moments, { step, learningRate: 1e-2 });
    adamReference(expected, first, second, gradient, step, { ...settings, learningRate: 1e-2 });
  }
  weights.forEach((value, i) => assert.ok(Math.abs(value - (expected[i] ?? NaN)) < 1e-6));
});
