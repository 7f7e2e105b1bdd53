import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import type { VariantName } from '../../src/contracts/boostReport.ts';
import { calibrateVariants } from '../../src/engine/boost/boostVariants.ts';
import { chooseVariant } from '../../src/engine/boost/chooseVariant.ts';
import type { Variant } from '../../src/engine/boost/boostMeasure.ts';
import type { ActivationWindow } from '../../src/training/activations/activations.ts';
import { randomDictionary } from '../unit/dictionaries.ts';

/** A residual SAE of one feature: it fires with x_0 where that is above 0, and adds `gain` of it to the last number. */
function variant(name: VariantName, gain: number): Variant {
  const dictionary = {
    ...randomDictionary({ seed: 1, width: 1, inputWidth: 3 }),
    decoderBias: undefined,
    encoder: Float32Array.of(1, 0, 0),
    encoderBias: Float32Array.of(0),
    decoder: Float32Array.of(0, 0, gain),
    rule: { kind: 'jumprelu', threshold: Float32Array.of(0) },
    tokenPolicy: { excludeFirst: false, maxNorm: Infinity },
  } as const;
  return { name, description: '', dictionary, threshold: 0 };
}

/** x_0 is +-1, x_1 0, x_2 +-2; the base's error is 1 in the last number. sum |x - mean|^2 is 5 per token. */
const general: readonly ActivationWindow[] = [
  {
    tokenIds: Uint32Array.of(1, 2, 3, 4),
    activations: Float32Array.of(1, 0, 2, -1, 0, -2, 1, 0, 2, -1, 0, -2),
    target: Float32Array.of(0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1),
  },
];

/** EV of the base 1 - 4/20; with the gain g on the two tokens where x_0 is 1, 1 - (2 + 2 (1 - g)^2) / 20. */
function change(gain: number): number {
  return (1 - (2 + 2 * (1 - gain) ** 2) / 20 - 0.8) / 0.8;
}

const options = { threads: 1, signal: new AbortController().signal };

describe('chooseVariant', () => {
  for (const [gain, name] of [
    [0.5, 'plain'],
    [-0.015, 'plain'], // -0.38 %
    [-0.025, 'calibrated'], // -0.63 %
  ] as const) {
    it(`takes the ${name} variant where the plain one changes general EV by ${(100 * change(gain)).toFixed(2)} %`, async () => {
      const variants = [variant('plain', gain), variant('calibrated', 0)];
      const choice = await chooseVariant(variants, general, options);
      assert.equal(choice.name, name);
      assert.equal(choice.tokens, 4);
      assert.ok(Math.abs(choice.evChange - change(gain)) < 1e-6, `${choice.evChange}`);
    });
  }

  it('can be cancelled, and so can the calibration before it', async () => {
    const cancelled = new Failure('cancelled', 'Enough.');
    const signal = AbortSignal.abort(cancelled);
    const plain = variant('plain', 0);
    const choosing = chooseVariant([plain], general, { ...options, signal });
    await assert.rejects(choosing, cancelled);
    const trained = { plain: plain.dictionary, mixed: undefined };
    const calibrating = calibrateVariants(
      trained,
      { domain: general, general },
      { ...options, k: 1, signal },
    );
    await assert.rejects(calibrating, cancelled);
  });

  it('takes the mixed one where it was asked for, and says what the plain one does', async () => {
    const variants = [variant('plain', -1), variant('calibrated', 0), variant('mixed', 0)];
    const choice = await chooseVariant(variants, general, options);
    assert.equal(choice.name, 'mixed');
    assert.ok(Math.abs(choice.evChange - change(-1)) < 1e-6);
  });
});
