import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { evaluateCommand } from '../../src/cli/evaluate.ts';
import { Failure } from '../../src/common/failure.ts';
import type { EvaluateResult } from '../../src/contracts/commandLine.ts';
import { evaluate } from '../../src/engine/analysis/evaluate.ts';
import { ModelRunner } from '../../src/engine/model/modelRunner.ts';
import { SaeRunner } from '../../src/engine/saes/saeRunner.ts';
import type { Dictionary } from '../../src/saes/dictionary.ts';
import { dictionaryHash } from '../../src/saes/dictionaryHash.ts';
import { readSaeLens, writeSaeLens } from '../../src/saes/formats/saelens.ts';
import { activationsOf, outputOf, randomResidual } from '../unit/dictionaries.ts';
import { tinyBoost, tinyWidth as D } from './tinyBoost.ts';

const hook = 'blocks.0.hook_resid_post';
const windowLength = 20;
const tokenIds = Uint32Array.from(
  { length: 5 * windowLength },
  (_, i) => 32 + ((i * i + 7 * i) % 90),
);

let root: string;
let modelPath: string;
let model: ModelRunner;
let base: Dictionary;
let residuals: Dictionary[];
const runners: SaeRunner[] = [];
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'loupe-evaluate-'));
  const { model: request, basePath } = await tinyBoost(root);
  modelPath = request.path;
  model = await ModelRunner.open(request);
  base = await readSaeLens(basePath);
  const hash = dictionaryHash(base);
  residuals = [7, 8].map(seed => ({
    ...randomResidual({ seed, width: 15 * (seed - 6), inputWidth: D }, hash),
    hook,
  }));
});
after(async () => {
  for (const runner of runners) await runner.dispose();
  await model.dispose();
  await rm(root, { recursive: true, force: true });
});

async function open(dictionary: Dictionary): Promise<SaeRunner> {
  const runner = await SaeRunner.open(dictionary, { threads: 2 });
  runners.push(runner);
  return runner;
}

function without<T extends object>(result: T, ...keys: (keyof T)[]): object {
  return Object.fromEntries(
    Object.entries(result).filter(([key]) => !keys.includes(key as keyof T)),
  );
}

describe('evaluate with residual SAEs', () => {
  it("gives the base's numbers bit for bit where nothing of a residual SAE fires", async () => {
    const [first = assert.fail('none')] = residuals;
    const threshold = new Float32Array(first.width).fill(1e9);
    const silent = await open({ ...first, rule: { kind: 'jumprelu', threshold } });
    const request = { tokenIds, windowLength, ks: [1, 8] };
    const sae = await open(base);
    const alone = await evaluate(model, sae, request);
    const both = await evaluate(model, sae, { ...request, residuals: [silent] });
    assert.deepEqual(
      both.results.map(result => result.residuals),
      [[silent.dictionary.name], [silent.dictionary.name]],
    );
    const numbers = ({ results }: EvaluateResult) =>
      results.map(result => without(result, 'residuals', 'dead'));
    assert.deepEqual(numbers(both), numbers(alone));
  });

  it('adds any subset of them: EV and L0 as float64 gives them, CE by what is put in place of x', async () => {
    const [one = assert.fail('none'), two = assert.fail('none')] = residuals;
    const subsets = [[], [0], [1], [0, 1]];
    const k = 6;
    const opened = [await open(one), await open(two)];
    const { results, tokens } = await evaluate(model, await open(base), {
      ...{ tokenIds, windowLength, ks: [k], subsets },
      residuals: opened,
    });
    assert.equal(tokens, 5 * (windowLength - 1));
    const x = new Float32Array(tokens * D);
    for (let window = 0; window < 5; window++) {
      const ids = tokenIds.subarray(window * windowLength, (window + 1) * windowLength);
      const run = await model.run({ tokenIds: ids, hooks: [hook], head: 'none' });
      // The first token of each window is left out.
      x.set(run.hooks.get(hook)?.subarray(D) ?? [], window * (windowLength - 1) * D);
    }
    const atK: Dictionary = { ...base, rule: { kind: 'topk', maxK: k } };
    const parts = [atK, one, two].map(part => ({
      output: outputOf(part, x),
      active: activationsOf(part, x).filter(a => a > 0).length / tokens,
    }));
    const mean = Float64Array.from({ length: D }, (_, d) => {
      let sum = 0;
      for (let t = 0; t < tokens; t++) sum += (x[t * D + d] ?? NaN) / tokens;
      return sum;
    });
    const variation = x.reduce((sum, v, i) => sum + (v - (mean[i % D] ?? NaN)) ** 2, 0);
    for (const [i, subset] of subsets.entries()) {
      const result = results[i] ?? assert.fail('no result');
      const summed = [0, ...subset.map(index => index + 1)].flatMap(index => parts[index] ?? []);
      const error = x.reduce((sum, v, at) => {
        const xhat = summed.reduce((total, { output }) => total + (output[at] ?? NaN), 0);
        return sum + (v - xhat) ** 2;
      }, 0);
      close(result.ev, 1 - error / variation, 'EV');
      close(result.mse, error / tokens, 'MSE');
      const active = summed.map(part => part.active);
      close(
        result.l0,
        active.reduce((sum, n) => sum + n, 0),
        'L0',
      );
      close(
        result.residualL0,
        active.slice(1).reduce((sum, n) => sum + n, 0),
        'L0 of residuals',
      );
      assert.deepEqual(
        result.residuals,
        subset.map(index => opened[index]?.dictionary.name),
      );
      assert.equal(result.ce.clean, results[0]?.ce.clean);
    }
    assert.equal(new Set(results.map(({ ce }) => ce.sae)).size, subsets.length);
    // A sum that is the whole of x would lose nothing: the last subset is what was spliced, not the base alone.
    assert.ok(results.every(({ ce }) => Number.isFinite(ce.score)));
  });
});

describe('loupe evaluate --boost', () => {
  const evaluateWith = (boosts: readonly string[]) =>
    evaluateCommand.run({
      values: {
        model: modelPath,
        cache: join(root, 'cache'),
        threads: '2',
        sae: join(root, 'base'),
        text: [join(root, 'general.txt')],
        boost: boosts,
        tokens: '64',
        k: '2,8',
      },
      positionals: [],
      signal: new AbortController().signal,
      log: () => undefined,
    });

  it('gives the sum with all of them and the base alone, at each k', async () => {
    const folders = residuals.map((_, i) => join(root, `residual ${i}`));
    for (const [i, residual] of residuals.entries()) await writeSaeLens(residual, folders[i] ?? '');
    const result = (await evaluateWith(folders)) as EvaluateResult;
    const names = residuals.map(({ name }) => name);
    assert.deepEqual(
      result.results.map(({ k, residuals: added }) => [k, added]),
      [
        [2, names],
        [8, names],
        [2, []],
        [8, []],
      ],
    );
    const [boosted, , alone] = result.results;
    assert.ok(boosted && alone);
    assert.equal(alone.residualL0, 0);
    assert.ok(boosted.residualL0 > 0);
    close(boosted.l0, alone.l0 + boosted.residualL0, 'L0');
    assert.equal(boosted.ce.clean, alone.ce.clean);
    assert.match(evaluateCommand.format(result), /base \+ random 7 \+ random 8/);
    assert.deepEqual(JSON.parse(JSON.stringify(result)), result);
  });

  it('refuses one of another base', async () => {
    const other = join(root, 'other');
    const [first = assert.fail('none')] = residuals;
    await writeSaeLens({ ...first, base: { name: 'elsewhere', hash: 'abc', k: 5 } }, other);
    await assert.rejects(
      evaluateWith([other]),
      error => Failure.is(error, 'mismatch') && error.message.includes('elsewhere'),
    );
  });
});

function close(found: number, expected: number, what: string): void {
  const off = Math.abs(found - expected);
  assert.ok(off <= 1e-5 * (1 + Math.abs(expected)), `${what}: ${found}, expected ${expected}`);
}
