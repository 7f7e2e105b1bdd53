import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { SaeRunner } from '../../src/engine/saes/saeRunner.ts';
import type { Encoding } from '../../src/saes/reconstruct.ts';
import { readSaeLens, writeSaeLens } from '../../src/saes/formats/saelens.ts';
import { SafetensorsFile } from '../../src/weights/safetensors.ts';

// SAEs saved by SAELens and what SAELens computes with them: test/fixtures/makeSaeGoldens.py.
const fixtures = join(import.meta.dirname, '../fixtures/saelens');
const kinds = [
  'standard',
  'standard.noInputBias',
  'standard.scaledInput',
  'topk',
  'topk.decoderNorm',
  'jumprelu',
  'gated',
];

let golden: SafetensorsFile;
before(async () => {
  golden = await SafetensorsFile.open(join(fixtures, 'goldens.safetensors'));
});

/** The sparse encoding as a (T, F) matrix. */
function dense({ k, features, activations }: Encoding, width: number): Float32Array {
  const result = new Float32Array((activations.length / k) * width);
  activations.forEach((activation, i) => {
    if (activation !== 0) result[Math.floor(i / k) * width + (features[i] ?? 0)] = activation;
  });
  return result;
}

function maxDifference(a: Float32Array, b: Float32Array): number {
  assert.equal(a.length, b.length);
  return a.reduce((max, value, i) => Math.max(max, Math.abs(value - (b[i] ?? NaN))), 0);
}

describe('an SAE saved by SAELens', () => {
  for (const kind of [...kinds, 'topk.flat']) {
    it(`computes what SAELens computes: ${kind}`, async () => {
      const dictionary = await readSaeLens(join(fixtures, kind));
      const runner = await SaeRunner.open(dictionary, { threads: 1 });
      try {
        const x = await golden.readFloat32('x'); // (T, D)
        const name = kind.replace('.flat', '');
        const activations = await golden.readFloat32(`${name}/activations`); // (T, F)
        const reconstruction = await golden.readFloat32(`${name}/reconstruction`); // (T, D)
        const encoding = await runner.encode(x);
        assert.ok(maxDifference(dense(encoding, dictionary.width), activations) < 1e-5);
        assert.ok(maxDifference(runner.reconstruct(encoding, encoding.k), reconstruction) < 1e-5);
        const active = (values: Float32Array) => values.filter(value => value !== 0).length;
        assert.equal(active(encoding.activations), active(activations));
        assert.ok(active(activations) > 30);
        if (kind.startsWith('topk')) assert.equal(runner.maxK, 6);
      } finally {
        await runner.dispose();
      }
    });
  }

  it('gives every prefix its own squared error, from one pass', async () => {
    const dictionary = await readSaeLens(join(fixtures, 'standard'));
    const runner = await SaeRunner.open(dictionary, { threads: 1 });
    const x = await golden.readFloat32('x');
    const encoding = await runner.encode(x);
    const D = dictionary.inputWidth;
    const { squaredError: errors } = runner.prefixErrors(x, encoding); // (T, K)
    for (let k = 1; k <= encoding.k; k++) {
      const reconstruction = runner.reconstruct(encoding, k);
      for (let t = 0; t < x.length / D; t++) {
        let expected = 0;
        for (let i = t * D; i < (t + 1) * D; i++)
          expected += ((x[i] ?? 0) - (reconstruction[i] ?? 0)) ** 2;
        const found = errors[t * encoding.k + k - 1] ?? NaN;
        assert.ok(Math.abs(found - expected) < 1e-4 * (1 + expected), `token ${t}, k ${k}`);
      }
    }
    await runner.dispose();
  });

  it('keeps the strongest features, in descending order, up to the bound', async () => {
    const dictionary = await readSaeLens(join(fixtures, 'jumprelu'));
    const all = await SaeRunner.open(dictionary, { threads: 1 });
    const few = await SaeRunner.open(dictionary, { threads: 1, maxActive: 3 });
    assert.deepEqual([all.maxK, few.maxK], [40, 3]);
    const x = await golden.readFloat32('x');
    const [whole, bounded] = [await all.encode(x), await few.encode(x)];
    for (let t = 0; t < 9; t++) {
      const row = whole.activations.subarray(t * 40, (t + 1) * 40);
      assert.deepEqual(
        [...row],
        [...row].sort((a, b) => b - a),
      );
      assert.deepEqual(bounded.activations.subarray(t * 3, t * 3 + 3), row.subarray(0, 3));
    }
    await all.dispose();
    await few.dispose();
  });

  it('refuses activations of another width, and takes none at all', async () => {
    const runner = await SaeRunner.open(await readSaeLens(join(fixtures, 'topk')), { threads: 1 });
    await assert.rejects(runner.encode(new Float32Array(13)), { code: 'mismatch' });
    assert.equal((await runner.encode(new Float32Array(0))).features.length, 0);
    await runner.dispose();
  });
});

describe('an SAE written by Loupe', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loupe-saelens-'));
  });
  after(async () => rm(folder, { recursive: true, force: true }));

  it('is, byte for byte, what SAELens has loaded and computed the same with', async () => {
    const report = JSON.parse(await readFile(join(fixtures, 'loadedBySaeLens.json'), 'utf8')) as {
      written: Record<string, { sha256: Record<string, string> }>;
    };
    for (const kind of [...kinds, 'topk.flat']) {
      const dictionary = await readSaeLens(join(fixtures, kind));
      for (const dtype of ['F32', 'F16'] as const) {
        const name = dtype === 'F16' ? `${kind}.float16` : kind;
        const written = join(folder, name);
        await writeSaeLens(dictionary, written, dtype);
        const sha256: Record<string, string> = {};
        for (const file of (await readdir(written)).sort()) {
          sha256[file] = createHash('sha256')
            .update(await readFile(join(written, file)))
            .digest('hex');
        }
        assert.deepEqual(sha256, report.written[name]?.sha256, name);
      }
    }
  });

  it('comes back as it was', async () => {
    for (const kind of ['topk', 'jumprelu', 'gated', 'standard']) {
      const dictionary = await readSaeLens(join(fixtures, kind));
      const own = { ...dictionary, tokenPolicy: { excludeFirst: false, maxNorm: 12.5 } };
      const model = { name: 'm', hash: 'abc' };
      await writeSaeLens({ ...own, model }, join(folder, 'again'));
      assert.deepEqual(await readSaeLens(join(folder, 'again')), { ...own, model });
      assert.deepEqual(dictionary.provenance['nested'], { kept: [1, 2, null] });
    }
  });
});
