import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exportCommand } from '../../src/cli/export.ts';
import type { CommandInput } from '../../src/cli/command.ts';
import { Failure } from '../../src/common/failure.ts';
import type { ExportResult } from '../../src/contracts/commandLine.ts';
import { SaeRunner } from '../../src/engine/saes/saeRunner.ts';
import { dictionaryHash } from '../../src/saes/dictionaryHash.ts';
import { readSaeLens, writeSaeLens } from '../../src/saes/formats/saelens.ts';
import { readDictionary } from '../../src/saes/readDictionary.ts';
import { SafetensorsFile } from '../../src/weights/safetensors.ts';
import { outputOf, randomResidual } from '../unit/dictionaries.ts';
import { fixture } from './model.ts';
import { tinyBoost, tinyWidth } from './tinyBoost.ts';

// What SAELens computes with what is exported here: test/fixtures/makeExportGoldens.py.
const fixtures = fixture('export');

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'loupe-export-'));
});
after(() => rm(root, { recursive: true, force: true }));

function run(values: CommandInput['values'], log: (line: string) => void = () => undefined) {
  return exportCommand.run({
    values: { model: join(root, 'no model'), threads: '1', ...values },
    positionals: [],
    signal: new AbortController().signal,
    log,
  }) as Promise<ExportResult>;
}

interface Loaded {
  readonly exported: Record<string, { readonly sha256: Record<string, string> }>;
}

/** The exported files are those that SAELens loaded. */
async function assertLoaded(name: string, folder: string): Promise<void> {
  const json = await readFile(join(fixtures, 'loadedBySaeLens.json'), 'utf8');
  const { sha256 = {} } = (JSON.parse(json) as Loaded).exported[name] ?? {};
  assert.deepEqual(Object.keys(sha256), ['cfg.json', 'sae_weights.safetensors']);
  for (const [file, hash] of Object.entries(sha256)) {
    const bytes = await readFile(join(folder, file));
    assert.equal(createHash('sha256').update(bytes).digest('hex'), hash, `${name}/${file}`);
  }
}

/** Largest distance between corresponding numbers, relative where they are above 1. */
function distance(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(found.length, expected.length);
  let largest = 0;
  for (let i = 0; i < found.length; i++) {
    const [a, b] = [found[i] ?? NaN, expected[i] ?? NaN];
    largest = Math.max(largest, Math.abs(a - b) / Math.max(1, Math.abs(b)));
  }
  return largest;
}

describe('loupe export', () => {
  for (const kind of ['standard', 'jumprelu', 'gated']) {
    for (const stitched of [false, true]) {
      const name = `${kind}.${stitched ? 'stitched' : 'residual'}`;
      it('writes a top-k SAE as a sparsify folder named after its module, and says what cannot be one', async () => {
        const sae = fixture('saelens/topk');
        const out = join(root, 'sparsify');
        const { folder, exact } = await run({ sae, format: 'sparsify', out });
        assert.deepEqual([folder, exact], [join(out, 'layers.3'), true]);
        const [given, written] = [await readSaeLens(sae), await readDictionary(folder)];
        assert.deepEqual([written.hook, written.rule], [given.hook, given.rule]);
        // What it reads is x less its bias now, and the encoder's bias makes up for it.
        assert.ok(written.subtractDecoderBias && !given.subtractDecoderBias);
        const gated = { sae: fixture('saelens/gated'), format: 'sparsify', out };
        await assert.rejects(run(gated), { code: 'unsupported', message: /gated/ });
        const stitched = { sae, stitch: [fixture('saelens/jumprelu')], format: 'sparsify', out };
        await assert.rejects(run(stitched), { code: 'unsupported', message: /stitched/ });
        await assert.rejects(run({ sae, format: 'npz', out }), { code: 'usage', message: /npz/ });
      });

      it(`writes ${name}: the files that SAELens loads, with the numbers that it computes`, async () => {
        const residual = join(fixtures, `${kind}.residual`);
        const out = join(root, name);
        const sae = stitched ? join(fixtures, kind) : residual;
        const result = await run({ sae, out, ...(stitched && { stitch: [residual] }) });
        const features = stitched ? 29 : 9;
        assert.deepEqual(result, { folder: out, features, rule: 'jumprelu', exact: true });
        assert.equal(exportCommand.format(result), `${out}: ${features} features, jumprelu, exact`);
        await assertLoaded(name, out);
        const goldens = await SafetensorsFile.open(join(fixtures, 'goldens.safetensors'));
        const x = await goldens.readFloat32('x');
        const expected = await goldens.readFloat32(`${name}/reconstruction`);
        const runner = await SaeRunner.open(await readSaeLens(out), { threads: 1 });
        try {
          const encoding = await runner.encode(x);
          assert.ok(distance(runner.reconstruct(encoding, runner.maxK), expected) < 1e-5);
          const activations = await goldens.readFloat32(`${name}/activations`);
          const found = new Float32Array(activations.length);
          encoding.activations.forEach((a, p) => {
            const t = Math.floor(p / encoding.k);
            if (a > 0) found[t * features + (encoding.features[p] ?? 0)] = a;
          });
          assert.ok(distance(found, activations) < 1e-5);
        } finally {
          await runner.dispose();
        }
        if (!stitched) return;
        const parts = [await readSaeLens(join(fixtures, kind)), await readSaeLens(residual)];
        const [base = [], correction = []] = parts.map(part => outputOf(part, x));
        const sum = Float64Array.from(base, (value, i) => value + (correction[i] ?? NaN));
        assert.ok(distance(sum, expected) < 1e-5);
      });
    }
  }

  it('refuses a residual SAE of another base, and another format', async () => {
    const [sae, residual] = [join(fixtures, 'standard'), join(fixtures, 'gated.residual')];
    await assert.rejects(
      run({ sae, stitch: [residual], out: join(root, 'refused') }),
      error => Failure.is(error, 'mismatch') && error.message.includes('other weights'),
    );
    await assert.rejects(run({ sae, format: 'gguf', out: join(root, 'refused') }), error =>
      Failure.is(error, 'usage'),
    );
  });

  it('says why a top-k base is not exact; with --k gives it a threshold and measures what that changes', async () => {
    const asked = await tinyBoost(join(root, 'tiny'));
    const base = await readSaeLens(asked.basePath);
    const residual = join(root, 'of topk');
    const shape = { seed: 3, width: 10, inputWidth: tinyWidth };
    const { hook } = base;
    await writeSaeLens({ ...randomResidual(shape, dictionaryHash(base)), hook }, residual);
    const values = {
      model: asked.model.path,
      cache: asked.model.cacheFolder,
      sae: asked.basePath,
      stitch: [residual],
      text: asked.generalPaths,
      out: join(root, 'calibrated'),
    };
    await assert.rejects(
      run(values),
      error =>
        Failure.is(error, 'unsupported') &&
        error.message.includes('strongest features of each token') &&
        (error.action ?? '').includes('--k N'),
    );
    await assert.rejects(run({ ...values, k: '65' }), error => Failure.is(error, 'usage'));
    const lines: string[] = [];
    const result = await run({ ...values, k: '8' }, line => lines.push(line));
    assert.deepEqual([result.features, result.rule, result.exact], [106, 'jumprelu', false]);
    const { k, threshold, topK, jumprelu } = result.calibrated ?? assert.fail('no figures');
    assert.equal(k, 8);
    assert.ok(threshold > 0);
    // The same text for both: the threshold lets k fire on average, the residual SAE is as it was.
    assert.ok(Math.abs(jumprelu.l0 - topK.l0) < 0.1, `${jumprelu.l0} ${topK.l0}`);
    assert.ok(topK.l0 > 8 && topK.ev !== jumprelu.ev && topK.ce !== jumprelu.ce);
    assert.match(
      exportCommand.format(result),
      /Not exact: the base keeps its 8 strongest features/,
    );
    assert.equal(lines.length, 2);
    const { rule } = await readSaeLens(values.out);
    assert.ok(rule.kind === 'jumprelu' && rule.threshold[0] === Math.fround(threshold));
  });
});
