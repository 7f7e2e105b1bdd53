import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import { Random } from '../../src/common/random.ts';
import { dictionaryHash } from '../../src/saes/dictionaryHash.ts';
import { stitch } from '../../src/saes/stitch.ts';
import { outputOf, randomDictionary, randomResidual } from './dictionaries.ts';

const inputWidth = 9;

describe('stitch', () => {
  for (const rule of ['relu', 'jumprelu', 'gated'] as const) {
    for (const subtractDecoderBias of [false, true]) {
      it(`gives the sum of a ${rule} base and two residual SAEs${subtractDecoderBias ? ', the base reading x - b_dec' : ''}`, () => {
        const base = {
          ...randomDictionary({ seed: 1, width: 20, inputWidth, rule }),
          subtractDecoderBias,
        };
        const hash = dictionaryHash(base);
        const residuals = [2, 3].map(seed =>
          randomResidual({ seed, width: 7 * seed, inputWidth }, hash),
        );
        const stitched = stitch(base, residuals, 'all');
        assert.deepEqual([stitched.width, stitched.rule.kind], [20 + 14 + 21, 'jumprelu']);
        assert.equal(stitched.subtractDecoderBias, false);
        assert.equal(stitched.base, undefined);
        const random = new Random(4);
        const x = Float32Array.from({ length: 200 * inputWidth }, () => 2 * random.normal());
        const parts = [base, ...residuals].map(part => outputOf(part, x));
        const found = outputOf(stitched, x);
        found.forEach((value, i) => {
          const sum = parts.reduce((total, part) => total + (part[i] ?? NaN), 0);
          assert.ok(Math.abs(value - sum) < 2e-5 * (1 + Math.abs(sum)), `${i}: ${value}, ${sum}`);
        });
        const own = parts[0] ?? new Float64Array(0);
        assert.ok(found.some((value, i) => Math.abs(value - (own[i] ?? NaN)) > 0.1));
      });
    }
  }

  it('says plainly why a top-k base has no thresholds', () => {
    const base = randomDictionary({ seed: 1, width: 20, inputWidth, rule: 'topk' });
    assert.throws(
      () => stitch(base, [], 'x'),
      error =>
        Failure.is(error, 'unsupported') &&
        error.message ===
          'random 1 keeps the 4 strongest features of each token: which fire depends on one another, and no thresholds of single features say the same.' &&
        (error.action ?? '').includes('--k N'),
    );
  });
});
