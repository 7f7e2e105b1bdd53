import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { SaeRunner } from '../../src/engine/saes/saeRunner.ts';
import { largestK, type Dictionary } from '../../src/saes/dictionary.ts';
import { writeSaeLens } from '../../src/saes/formats/saelens.ts';
import { writeSparsify } from '../../src/saes/formats/sparsify.ts';
import { readDictionary } from '../../src/saes/readDictionary.ts';
import type { Encoding } from '../../src/saes/reconstruct.ts';
import { targetHook } from '../../src/saes/target.ts';
import { SafetensorsFile } from '../../src/weights/safetensors.ts';

// SAEs that other tools saved, and what they compute with them: test/fixtures/makeForeignSaeGoldens.py.
const fixtures = join(import.meta.dirname, '../fixtures/foreign');

interface Case {
  readonly path: string;
  readonly l0: number;
  readonly hook?: string;
  readonly output?: string;
  readonly model?: string;
  readonly k?: number;
  readonly centred?: boolean;
}

interface Cases {
  readonly cases: Record<string, Case>;
  readonly written: Record<string, { readonly path: string; readonly module: string }>;
}

const { cases, written } = JSON.parse(
  await readFile(join(fixtures, 'cases.json'), 'utf8'),
) as Cases;
let golden: SafetensorsFile;
let folder = '';
before(async () => {
  golden = await SafetensorsFile.open(join(fixtures, 'goldens.safetensors'));
  folder = await mkdtemp(join(tmpdir(), 'loupe-foreign-'));
});
after(async () => rm(folder, { recursive: true, force: true }));

/** The sparse encoding as a (T, F) matrix. */
function dense({ k, features, activations }: Encoding, width: number): Float32Array {
  const result = new Float32Array((activations.length / k) * width);
  activations.forEach((activation, i) => {
    if (activation !== 0) result[Math.floor(i / k) * width + (features[i] ?? 0)] = activation;
  });
  return result;
}

/** The largest difference, as a fraction of the largest value. */
function difference(found: Float32Array, expected: Float32Array): number {
  assert.equal(found.length, expected.length);
  const most = (values: Float32Array) => values.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
  return most(found.map((value, i) => value - (expected[i] ?? NaN))) / most(expected);
}

/** Holds a dictionary to what its library computes; gives the differences. */
async function agrees(dictionary: Dictionary, name: string, l0?: number) {
  const runner = await SaeRunner.open(dictionary, { threads: 1 });
  try {
    const x = await golden.readFloat32('x'); // (T, D)
    const encoding = await runner.encode(x);
    const activations = dense(encoding, dictionary.width);
    const reconstruction = runner.reconstruct(encoding, encoding.k);
    const differences = [
      difference(activations, await golden.readFloat32(`${name}/activations`)),
      difference(reconstruction, await golden.readFloat32(`${name}/reconstruction`)),
    ] as const;
    for (const found of differences) assert.ok(found < 1e-5, `${name}: ${found}`);
    if (l0 !== undefined) {
      const active = activations.filter(value => value !== 0).length;
      assert.ok(Math.abs(active / 17 - l0) < 1e-9, `L0 ${active / 17}, expected ${l0}`);
    }
    return { runner, encoding, differences };
  } finally {
    await runner.dispose();
  }
}

describe('an SAE of another tool', () => {
  for (const [name, expected] of Object.entries(cases)) {
    it(`computes what its own tool computes: ${name}`, async () => {
      const dictionary = await readDictionary(join(fixtures, expected.path));
      const { differences } = await agrees(dictionary, name, expected.l0);
      if (expected.hook) assert.equal(dictionary.hook, expected.hook);
      assert.equal(targetHook(dictionary), expected.output ?? dictionary.hook);
      if (expected.model) assert.equal(dictionary.model?.name, expected.model);
      if (expected.k) assert.equal(largestK(dictionary.rule), expected.k);
      assert.equal(dictionary.centred ?? false, expected.centred ?? false);
      if (process.env['LOUPE_PRINT'])
        console.log(name, ...differences.map(d => d.toExponential(1)));
    });
  }

  it('gives every prefix its own squared error, whatever is done to its input', async () => {
    for (const name of ['saelens/standard.layerNorm', 'saelens/skip_transcoder', 'sparsify/skip']) {
      const dictionary = await readDictionary(join(fixtures, cases[name]?.path ?? ''));
      const { runner, encoding } = await agrees(dictionary, name);
      const O = dictionary.output?.width ?? dictionary.inputWidth;
      const target = (await golden.readFloat32('x')).subarray(0, 17 * O); // (T, O), any will do
      const { squaredError: errors } = runner.prefixErrors(target, encoding);
      for (const k of [1, 3, encoding.k]) {
        const reconstruction = runner.reconstruct(encoding, k);
        for (let t = 0; t < 17; t++) {
          let expected = 0;
          for (let i = t * O; i < (t + 1) * O; i++)
            expected += ((target[i] ?? 0) - (reconstruction[i] ?? 0)) ** 2;
          const found = errors[t * encoding.k + k - 1] ?? NaN;
          assert.ok(Math.abs(found - expected) < 1e-4 * (1 + expected), `${name}: ${t}, k ${k}`);
        }
      }
    }
  });

  it('computes the same where its encoder is fed with each run', async () => {
    for (const [name, { path }] of Object.entries(cases)) {
      const dictionary = await readDictionary(join(fixtures, path));
      const runner = await SaeRunner.open(dictionary, { threads: 1, fedBytes: 0 });
      const encoding = await runner.encode(await golden.readFloat32('x'));
      const expected = await golden.readFloat32(`${name}/activations`);
      assert.ok(difference(dense(encoding, dictionary.width), expected) < 1e-5, name);
      await runner.dispose();
    }
  });

  it('comes back as it was from a SAELens folder, or is refused', async () => {
    let refused = 0;
    for (const [name, { path }] of Object.entries(cases)) {
      const dictionary = await readDictionary(join(fixtures, path));
      const again = join(folder, 'saelens', name);
      try {
        await writeSaeLens(dictionary, again);
      } catch (error) {
        assert.match(String(error), /SAELens has no (groupmax|topk)/, name);
        refused++;
        continue;
      }
      const read = await readDictionary(again);
      assert.deepEqual(
        { ...read, model: undefined, provenance: {}, base: undefined },
        { ...dictionary, model: undefined, provenance: {}, base: undefined },
        name,
      );
    }
    // Top-k with a skip connection or as a transcoder, groups.
    assert.equal(refused, 4);
  });
});

describe('an SAE that Loupe writes for sparsify', () => {
  for (const [name, { path, module }] of Object.entries(written)) {
    it(`computes there what it computes here: ${name}`, async () => {
      const dictionary = await readDictionary(join(fixtures, path));
      await agrees(dictionary, `written/${name}`);
      const out = await writeSparsify(dictionary, join(folder, 'sparsify', name));
      assert.equal(basename(out), module);
      const again = await readDictionary(out);
      assert.equal(again.hook, dictionary.hook);
      assert.equal(again.model?.name, dictionary.model?.name);
      await agrees(again, `written/${name}`);
    });
  }

  it('is refused where sparsify has no such kind', async () => {
    const refusals: readonly [string, RegExp][] = [
      ['saelens/transcoder', /it is a relu SAE, and sparsify has topk only/],
      ['saelens/topk.layerNorm', /normalises each token/],
      ['sparsify/skip', /linear function/],
      ['sparsify/groupmax', /groupmax/],
    ];
    for (const [name, message] of refusals) {
      const dictionary = await readDictionary(join(fixtures, cases[name]?.path ?? ''));
      await assert.rejects(writeSparsify(dictionary, folder), { code: 'unsupported', message });
    }
    const topk = await readDictionary(join(fixtures, 'sparsify/topk/layers.3'));
    await assert.rejects(writeSparsify({ ...topk, hook: 'blocks.3.attn.hook_z' }, folder), {
      code: 'unsupported',
      message: /no module gives blocks\.3\.attn\.hook_z/,
    });
  });
});
