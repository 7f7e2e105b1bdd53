import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import type { Dictionary } from '../../src/saes/dictionary.ts';
import { dictionaryHash } from '../../src/saes/dictionaryHash.ts';
import { readSaeLens, writeSaeLens } from '../../src/saes/formats/saelens.ts';
import { nearestFeatures } from '../../src/saes/nearestFeatures.ts';
import { requireResidual } from '../../src/saes/requireResidual.ts';
import { randomDictionary, randomResidual } from './dictionaries.ts';

let root = '';
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'loupe-residual-'));
});
after(() => rm(root, { recursive: true, force: true }));

describe('nearestFeatures', () => {
  it('finds what ranking every cosine finds', () => {
    const [width, inputWidth] = [50, 6];
    const base = randomDictionary({ seed: 1, width, inputWidth });
    // A row of zeros is like nothing.
    const decoder = base.decoder.map((w, i) => (i < inputWidth ? 0 : w));
    const residual = randomDictionary({ seed: 2, width: 10, inputWidth });
    const rowOf = (matrix: Float32Array, f: number): number[] => [
      ...matrix.subarray(f * inputWidth, (f + 1) * inputWidth),
    ];
    for (let feature = 0; feature < residual.width; feature++) {
      const row = rowOf(residual.decoder, feature);
      const ranked = Array.from({ length: width - 1 }, (_, i) => {
        const other = rowOf(decoder, i + 1);
        const product = other.reduce((sum, w, d) => sum + w * (row[d] ?? NaN), 0);
        return { feature: i + 1, cosine: product / (Math.hypot(...row) * Math.hypot(...other)) };
      }).sort((a, b) => b.cosine - a.cosine);
      const found = nearestFeatures(residual, feature, { ...base, decoder }, 3);
      assert.deepEqual(
        found.map(neighbour => neighbour.feature),
        ranked.slice(0, 3).map(neighbour => neighbour.feature),
      );
      found.forEach(({ cosine }, i) =>
        assert.ok(Math.abs(cosine - (ranked[i]?.cosine ?? NaN)) < 1e-12),
      );
    }
    assert.equal(nearestFeatures(residual, 0, base, 100).length, width);
  });
});

describe('dictionaryHash', () => {
  for (const rule of ['relu', 'topk', 'jumprelu', 'gated'] as const) {
    it(`is the same after a ${rule} SAE was written and read`, async () => {
      const dictionary = randomDictionary({ seed: 1, width: 11, inputWidth: 5, rule });
      await writeSaeLens(dictionary, join(root, rule), 'F32');
      const read = await readSaeLens(join(root, rule));
      assert.equal(dictionaryHash(read), dictionaryHash(dictionary));
    });
  }

  it('is the same after an SAE without decoder bias was written and read, which is one of zeros', async () => {
    const dictionary = randomDictionary({ seed: 1, width: 11, inputWidth: 5 });
    const zeros = { ...dictionary, decoderBias: new Float32Array(5) };
    const none = { ...dictionary, decoderBias: undefined };
    await writeSaeLens(none, join(root, 'none'), 'F32');
    const read = dictionaryHash(await readSaeLens(join(root, 'none')));
    assert.equal(read, dictionaryHash(none));
    assert.equal(read, dictionaryHash(zeros));
  });

  it('is another where any number or the rule is another', () => {
    const changed = (array: Float32Array): Float32Array => array.with(3, (array[3] ?? 0) + 1e-3);
    const d = randomDictionary({ seed: 1, width: 11, inputWidth: 5, rule: 'jumprelu' });
    const { rule } = d;
    if (rule.kind !== 'jumprelu' || !d.decoderBias) throw new Error('unexpected');
    const others: Dictionary[] = [
      { ...d, encoder: changed(d.encoder) },
      { ...d, encoderBias: changed(d.encoderBias) },
      { ...d, decoder: changed(d.decoder) },
      { ...d, decoderBias: changed(d.decoderBias) },
      { ...d, rule: { kind: 'jumprelu', threshold: changed(rule.threshold) } },
      { ...d, rule: { kind: 'relu' } },
      { ...d, rule: { kind: 'topk', maxK: 4 } },
      { ...d, rule: { kind: 'topk', maxK: 5 } },
      { ...d, subtractDecoderBias: true },
      { ...d, hook: 'blocks.2.hook_resid_post' },
    ];
    const hashes = [d, ...others].map(dictionaryHash);
    assert.equal(new Set(hashes).size, hashes.length);
    assert.equal(dictionaryHash({ ...d, name: 'other' }), hashes[0]);
  });
});

describe('requireResidual', () => {
  const base = randomDictionary({ seed: 1, width: 11, inputWidth: 5 });
  const hash = dictionaryHash(base);
  const residual = randomResidual({ seed: 2, width: 3, inputWidth: 5 }, hash);

  it('takes one of this base, and one that does not say of which', () => {
    requireResidual(residual, base, hash);
    requireResidual({ ...residual, base: undefined }, base, hash);
  });

  const refused: readonly [string, Dictionary, RegExp][] = [
    ['with a decoder bias', base, /decoder bias/],
    [
      'of another width',
      randomResidual({ seed: 2, width: 3, inputWidth: 6 }, hash),
      /width 6, the base's are 5 wide/,
    ],
    [
      'at another hook',
      { ...residual, hook: 'blocks.2.hook_resid_post' },
      /reads blocks\.2\.hook_resid_post, the base blocks\.1\.hook_resid_post/,
    ],
    [
      'of another base',
      { ...residual, base: { name: 'other', hash: 'abc', k: null } },
      /on the error of other with other weights/,
    ],
  ];
  for (const [name, dictionary, says] of refused) {
    it(`refuses one ${name}`, () => {
      assert.throws(
        () => requireResidual(dictionary, base, hash),
        error => Failure.is(error, 'mismatch') && says.test(error.message),
      );
    });
  }
});
