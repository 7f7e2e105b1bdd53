import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { EvaluateResult } from '../../src/contracts/commandLine.ts';
import { evaluate } from '../../src/engine/analysis/evaluate.ts';
import { ModelRunner } from '../../src/engine/model/modelRunner.ts';
import { SaeRunner } from '../../src/engine/saes/saeRunner.ts';
import { readSaeLens } from '../../src/saes/formats/saelens.ts';
import { fixture, modelRequest } from './model.ts';

// Measured with transformers and SAELens: test/fixtures/makeEvaluationGoldens.py.
const folder = fixture('evaluation');

interface Golden extends Omit<EvaluateResult, 'convention'> {
  readonly windowLength: number;
  readonly tokenIds: readonly number[];
}

let model: ModelRunner;
let sae: SaeRunner;
let golden: Golden;
before(async () => {
  model = await ModelRunner.open(modelRequest());
  sae = await SaeRunner.open(await readSaeLens(folder), { threads: 2 });
  golden = JSON.parse(await readFile(join(folder, 'golden.json'), 'utf8')) as Golden;
});
after(async () => {
  await sae.dispose();
  await model.dispose();
});

function request(ks: readonly number[]) {
  const { windowLength } = golden;
  return { tokenIds: Uint32Array.from(golden.tokenIds), windowLength, ks };
}

/** Every number of `expected` is in `found`, within a relative distance. */
function assertClose(found: object, expected: object, at = ''): void {
  for (const [key, value] of Object.entries(expected) as [string, unknown][]) {
    const other = (found as Record<string, unknown>)[key];
    if (typeof value === 'object' && value !== null)
      assertClose(Object(other) as object, value, `${at}.${key}`);
    else {
      const [a, b] = [Number(other), Number(value)];
      assert.ok(Math.abs(a - b) <= 1e-4 * (1 + Math.abs(b)), `${at}.${key}: ${a}, expected ${b}`);
    }
  }
}

describe('evaluate', () => {
  it('measures what transformers and SAELens measure', async () => {
    const result = await evaluate(model, sae, request(golden.results.map(({ k }) => k)));
    assert.deepEqual([result.tokens, result.excluded], [golden.tokens, golden.excluded]);
    assertClose(result.results, golden.results);
    assert.match(result.convention, /blocks\.4\.hook_resid_post; \d+ tokens counted/);
  });

  it("gives SAELens' own figures, over all tokens, at the largest k", async () => {
    // By sae_lens.evals: bench/peers/saelensMetrics.py.
    const expected = JSON.parse(await readFile(join(folder, 'saelens.json'), 'utf8')) as object;
    const { results } = await evaluate(model, sae, {
      ...request([2, sae.maxK]),
      saelens: { layers: model.config.layers },
    });
    assert.deepEqual(
      results.map(({ saelens }) => saelens !== undefined),
      [false, true],
    );
    assert.equal(Object.keys(expected).length, 13);
    assertClose(results[1]?.saelens ?? {}, expected);
  });

  it('loses nothing where the reconstruction is the activation itself, bit for bit', async () => {
    const seen: Float32Array[] = [];
    const identity = {
      config: model.config,
      run: async (asked: Parameters<ModelRunner['run']>[0]) => {
        const result = await model.run(asked);
        seen.push(...result.hooks.values());
        return result;
      },
      splice: (asked: Parameters<ModelRunner['splice']>[0]) => {
        const isZero = asked.activations
          .subarray(asked.activations.length / 2)
          .every(value => value === 0);
        return model.splice(
          isZero ? asked : { ...asked, activations: seen.at(-1) ?? asked.activations },
        );
      },
    };
    const { results } = await evaluate(identity, sae, request([3]));
    const [{ ce } = assert.fail('no results')] = results;
    assert.equal(ce.sae, ce.clean);
    assert.equal(ce.score, 1);
    assert.ok(ce.zero > ce.clean);
  });

  it('refuses a k that the SAE was not trained for, and text of no whole window', async () => {
    for (const ks of [[0], [17], [1.5], []]) {
      await assert.rejects(evaluate(model, sae, request(ks)), { code: 'usage' });
    }
    await assert.rejects(evaluate(model, sae, { ...request([1]), tokenIds: new Uint32Array(0) }), {
      code: 'empty',
    });
    await assert.rejects(evaluate(model, sae, { ...request([1]), tokenIds: new Uint32Array(41) }), {
      code: 'empty',
    });
  });

  it('stops when told to', async () => {
    const controller = new AbortController();
    const stopped = evaluate(model, sae, {
      ...request([1]),
      signal: controller.signal,
      report: () => controller.abort(),
    });
    await assert.rejects(stopped, { code: 'cancelled' });
  });
});
