import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Hook } from '../../src/contracts/hooks.ts';
import { ModelRunner, type RunResult } from '../../src/engine/model/modelRunner.ts';
import { hookAt } from '../../src/models/hooks.ts';
import { SafetensorsFile } from '../../src/weights/safetensors.ts';
import { fixture, modelRequest } from './model.ts';

/** Goldens are transformers' own numbers for the same file: test/fixtures/makeModelGoldens.py. */
const tolerance = 1e-3;
/** Of a token's largest value: attention sinks have values of some 25,000, of which float32 holds 2e-3. */
const relativeTolerance = 4e-6;

let runner: ModelRunner;
before(async () => {
  runner = await ModelRunner.open(modelRequest());
});
after(() => runner.dispose());

for (const name of ['english', 'code', 'unicode']) {
  describe(`The model agrees with transformers: ${name}`, () => {
    let golden: Golden;
    let result: RunResult;
    let ids: Uint32Array;
    before(async () => {
      golden = await Golden.open(fixture(`model/${name}.safetensors`));
      ids = runner.tokenizer.encode(golden.text).ids;
      const labels = ids.map((_, i) => ids[i + 1] ?? 0);
      result = await runner.run({ tokenIds: ids, hooks: everyHook(), head: 'loss', labels });
    });

    it('in its token ids', async () => {
      assert.deepEqual([...ids], await golden.numbers('ids'));
    });

    it('in every hook at the last token', async t => {
      let worst = { hook: '', difference: 0, size: 0 };
      for (const hook of everyHook()) {
        const expected = await golden.numbers(`last.${hook}`);
        const actual = [...(result.hooks.get(hook) ?? [])].slice(-runner.config.width);
        const difference = largestDifference(actual, expected);
        const size = Math.max(...expected.map(Math.abs));
        if (difference > worst.difference) worst = { hook, difference, size };
      }
      t.diagnostic(`max |difference| ${JSON.stringify(worst)}`);
      assert.ok(worst.difference < tolerance, JSON.stringify(worst));
    });

    it('in one hook at every token', async t => {
      const hook = 'blocks.15.hook_resid_post';
      const expected = await golden.numbers(hook);
      const actual = [...(result.hooks.get(hook) ?? [])];
      const { width } = runner.config;
      let worst = { difference: 0, size: 0, ratio: 0 };
      for (const t of ids.keys()) {
        const row = expected.slice(t * width, (t + 1) * width);
        const difference = largestDifference(actual.slice(t * width, (t + 1) * width), row);
        const size = Math.max(...row.map(Math.abs));
        const ratio = difference / Math.max(tolerance, size * relativeTolerance);
        if (ratio > worst.ratio) worst = { difference, size, ratio };
      }
      t.diagnostic(`max |difference| ${JSON.stringify(worst)}`);
      assert.ok(worst.ratio < 1, JSON.stringify(worst));
    });

    it('in its logits', async t => {
      const run = await runner.run({ tokenIds: ids, hooks: [], head: 'logits' });
      const logits = run.logits ?? new Float32Array();
      const { vocabulary } = runner.config;
      const kept = await golden.numbers('keptIds');
      const rows = [...ids.keys()];
      const actual = rows.flatMap(t => kept.map(id => logits[t * vocabulary + id] ?? NaN));
      const difference = largestDifference(actual, await golden.numbers('logits'));
      t.diagnostic(`max |difference| ${difference}`);
      assert.ok(difference < tolerance, `${difference}`);
      const likeliest = rows.map(t =>
        indexOfMax(logits.subarray(t * vocabulary, (t + 1) * vocabulary)),
      );
      assert.deepEqual(likeliest, await golden.numbers('argmax'));
      assert.deepEqual([...(result.predictedIds ?? [])], likeliest);
    });

    it('in its surprisal', async t => {
      const expected = await golden.numbers('surprisal');
      const difference = largestDifference([...(result.surprisal ?? [])].slice(0, -1), expected);
      t.diagnostic(`max |difference| ${difference}`);
      assert.ok(difference < tolerance, `${difference}`);
    });
  });
}

class Golden {
  readonly text: string;
  private readonly file: SafetensorsFile;

  private constructor(file: SafetensorsFile, text: string) {
    this.file = file;
    this.text = text;
  }

  static async open(path: string): Promise<Golden> {
    const file = await SafetensorsFile.open(path);
    const text = file.metadata.get('text');
    assert.ok(text);
    return new Golden(file, text);
  }

  async numbers(name: string): Promise<number[]> {
    return Array.from<number | bigint, number>((await this.file.read(name)).data, Number);
  }
}

function everyHook(): Hook[] {
  const layers = [...Array(runner.config.layers).keys()];
  const residual = [...Array(2 * runner.config.layers + 1).keys()].map(hookAt);
  return [
    ...residual,
    ...layers.map(layer => `blocks.${layer}.hook_attn_out` as const),
    ...layers.map(layer => `blocks.${layer}.hook_mlp_out` as const),
  ];
}

function largestDifference(actual: readonly number[], expected: readonly number[]): number {
  assert.equal(actual.length, expected.length);
  assert.ok(actual.every(Number.isFinite));
  return actual.reduce(
    (most, value, i) => Math.max(most, Math.abs(value - (expected[i] ?? NaN))),
    0,
  );
}

function indexOfMax(values: Float32Array): number {
  return values.reduce((best, value, i) => (value > (values[best] ?? -Infinity) ? i : best), 0);
}
