import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import type { Hook } from '../../src/contracts/hooks.ts';
import { ModelRunner } from '../../src/engine/model/modelRunner.ts';
import { isPattern, isResidual, spliceStart } from '../../src/models/hooks.ts';
import { SafetensorsFile } from '../../src/weights/safetensors.ts';
import { fixture } from './model.ts';

/** Goldens are transformers' in float64, test/fixtures/makeArchitectureGoldens.py; LOUPE_MODELS may name other such folders. */
const root = process.env['LOUPE_MODELS'] ?? fixture('architectures');
const tolerance = 1e-4;

let cacheFolder: string;
before(async () => {
  cacheFolder = await mkdtemp(join(tmpdir(), 'loupe-architectures-'));
});
after(() => rm(cacheFolder, { recursive: true }));

function largestDifference(a: Float32Array | undefined, b: Float32Array | undefined): number {
  assert.ok(a && b);
  assert.equal(a.length, b.length);
  assert.ok(a.every(Number.isFinite));
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? NaN))), 0);
}

for (const name of readdirSync(root)) {
  describe(`${name} agrees with transformers`, () => {
    let model: ModelRunner;
    let goldens: SafetensorsFile;
    let tokenIds: Uint32Array;
    let hooks: Hook[];
    const golden = (of: string) => goldens.readFloat32(of);
    before(async () => {
      const path = join(root, name);
      goldens = await SafetensorsFile.open(join(path, 'goldens.safetensors'));
      const { data } = await goldens.read('ids');
      tokenIds = Uint32Array.from(data as BigInt64Array, Number);
      hooks = [...goldens.tensors.keys()].filter((of): of is Hook => of.startsWith('blocks.'));
      model = await ModelRunner.open({ path, cacheFolder, threads: 2 });
    });
    after(() => model.dispose());

    it('in every hook and in its logits', async t => {
      const run = await model.run({ tokenIds, hooks, head: 'logits' });
      const worst = { of: '', difference: 0 };
      assert.ok(hooks.length >= 11 * model.config.layers);
      for (const of of ['logits', ...hooks] as const) {
        const actual = of === 'logits' ? run.logits : run.hooks.get(of);
        const difference = largestDifference(actual, await golden(of));
        if (difference > worst.difference) Object.assign(worst, { of, difference });
      }
      t.diagnostic(`max |difference| ${worst.difference.toExponential(1)} at ${worst.of}`);
      assert.ok(worst.difference < tolerance, JSON.stringify(worst));
    });

    it("as llama.cpp's converter writes it, where it can", async t => {
      const path = join(root, name, 'model.gguf');
      if (!existsSync(path)) {
        t.skip('GGUF has no place for what this configuration departs in');
        return;
      }
      const file = await ModelRunner.open({ path, cacheFolder, threads: 2 });
      const run = await file.run({ tokenIds, hooks, head: 'logits' });
      for (const of of ['logits', ...hooks] as const) {
        const actual = of === 'logits' ? run.logits : run.hooks.get(of);
        // Where the converter keeps pairs of queries and keys in another order, Loupe puts them back.
        assert.ok(largestDifference(actual, await golden(of)) < tolerance, of);
      }
      await file.dispose();
    });

    it('in its logits alone, after a kept prefix, and token by token', async () => {
      const logits = await golden('logits');
      const { vocabulary } = model.config;
      const whole = await model.run({ tokenIds, hooks: [], head: 'logits', keep: true });
      assert.ok(largestDifference(whole.logits, logits) < tolerance);
      const past = whole.cache?.prefix(7);
      assert.ok(past);
      const rest = await model.run({
        tokenIds: tokenIds.subarray(7),
        past,
        hooks: [],
        head: 'logits',
      });
      assert.ok(largestDifference(rest.logits, logits.subarray(7 * vocabulary)) < tolerance);
      let kept = undefined;
      for (const [t, id] of tokenIds.entries()) {
        const step: Awaited<ReturnType<ModelRunner['run']>> = await model.run({
          ...{ tokenIds: Uint32Array.of(id), hooks: [], head: 'logits', keep: true },
          ...(kept && { past: kept }),
        });
        const row = logits.subarray(t * vocabulary, (t + 1) * vocabulary);
        assert.ok(largestDifference(step.logits, row) < tolerance, `token ${t}`);
        kept = step.cache;
      }
    });

    it('in its pattern after a kept prefix', async () => {
      const hook: Hook = `blocks.${model.config.layers - 1}.attn.hook_pattern`;
      const whole = await golden(hook);
      const { cache } = await model.run({
        tokenIds: tokenIds.subarray(0, 5),
        hooks: [],
        head: 'logits',
        keep: true,
      });
      assert.ok(cache);
      const run = await model.run({
        tokenIds: tokenIds.subarray(5),
        past: cache,
        hooks: [hook],
        head: 'none',
      });
      const T = tokenIds.length;
      const rows = Array.from({ length: model.config.heads }, (_, head) => [
        ...whole.subarray((head * T + 5) * T, (head + 1) * T * T),
      ]);
      assert.ok(largestDifference(run.hooks.get(hook), Float32Array.from(rows.flat())) < tolerance);
    });

    it('where any hook is replaced by what it was', async () => {
      const logits = await golden('logits');
      for (const hook of hooks.filter(each => !isPattern(each))) {
        const start = spliceStart(hook, model.config);
        const activations = await golden(hook);
        const residual = isResidual(hook) ? undefined : await golden(start);
        const run = await model.splice({ hook, activations, residual, head: 'logits' });
        assert.ok(largestDifference(run.logits, logits) < 2 * tolerance, hook);
        // Something else in its place is felt.
        const other = await model.splice({
          ...{ hook, residual, head: 'logits' },
          activations: activations.map((value, i) => value + 0.1 * Math.sin(i)),
        });
        assert.ok(largestDifference(other.logits, logits) > 2 * tolerance, hook);
      }
    });
  });
}

describe('A model of an architecture', () => {
  it('whose packed matrices are K-quants is decoded as gguf-py does', async t => {
    const goldens = await SafetensorsFile.open(fixture('quantised/goldens.safetensors'));
    const { data } = await goldens.read('ids');
    const path = fixture('quantised/model.gguf');
    const model = await ModelRunner.open({ path, cacheFolder, threads: 2 });
    const tokenIds = Uint32Array.from(data as BigInt64Array, Number);
    const { logits } = await model.run({ tokenIds, hooks: [], head: 'logits' });
    const difference = largestDifference(logits, await goldens.readFloat32('logits'));
    t.diagnostic(`max |difference| ${difference.toExponential(1)}; ${model.info.precision}`);
    assert.ok(difference < tolerance);
    await model.dispose();
  });

  it('that runs its parts side by side has no state between them', async () => {
    const model = await ModelRunner.open({
      path: fixture('architectures/gpt_neox'),
      cacheFolder,
      threads: 1,
    });
    const tokenIds = Uint32Array.of(1, 2);
    const hooks: Hook[] = ['blocks.1.hook_resid_mid'];
    await assert.rejects(
      model.run({ tokenIds, hooks, head: 'none' }),
      error =>
        Failure.is(error, 'usage') &&
        error.message.includes('gpt_neox has no blocks.1.hook_resid_mid'),
    );
    await model.dispose();
  });
});
