import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { bytePairTokenizer } from '../../bench/papers/lime/bytePairs.ts';
import { armNamed, configOf, type Settings } from '../../bench/papers/lime/cell.ts';
import { newState, readState } from '../../bench/papers/lime/checkpoint.ts';
import { LossGraph } from '../../bench/papers/lime/lossGraph.ts';
import { parametersOf, valuesOf } from '../../bench/papers/lime/parameters.ts';
import { windowOf, type Texts } from '../../bench/papers/lime/text.ts';
import { trainCell } from '../../bench/papers/lime/training.ts';
import { Random } from '../../src/common/random.ts';
import { ModelRunner } from '../../src/engine/model/modelRunner.ts';

const vocabulary = 270;
const length = 9; // T + 1
const settings: Settings = {
  shape: {
    ...{ layers: 3, width: 32, feedForward: 24, heads: 2, keyValueHeads: 2, headWidth: 16 },
    ...{ vocabulary, contextLength: length - 1, ropeTheta: 10000, normEpsilon: 1e-5 },
    tiedEmbedding: true,
  },
  ...{ windows: 2, steps: 6, warmUp: 2, leastRate: 0.01 },
  ...{ heldOutWindows: 2, soonWindows: 1, every: 2 },
};

const random = new Random(1);
const windows = (count: number): Texts['train'] => ({
  tokens: Uint32Array.from({ length: count * length }, () => random.below(vocabulary)),
  count,
  length,
});
const texts: Texts = { train: windows(12), heldOut: windows(2), unitsPerToken: 1 };
const running = { settings, texts, threads: 1 };

describe("LIMe's experiment", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loupe-lime-experiment-'));
    const words = new Map([
      ['lower', 5],
      ['lowest', 2],
      ['newer', 6],
      ['wider', 3],
    ]);
    const json = bytePairTokenizer(words, vocabulary);
    for (const out of ['whole', 'cut']) {
      await mkdir(join(folder, out));
      await writeFile(join(folder, out, 'tokenizer.json'), json);
    }
  });
  after(() => rm(folder, { recursive: true }));

  it('goes on where it was interrupted', async () => {
    const never = new AbortController().signal;
    const cell = { arm: 'last-2', seed: 3 };
    const options = { ...running, signal: never, log: () => undefined };
    const whole = await trainCell(cell, { ...options, out: join(folder, 'whole') });
    const interrupt = new AbortController();
    const out = join(folder, 'cut');
    const cut = trainCell(cell, {
      ...options,
      ...{ out, signal: interrupt.signal, log: () => interrupt.abort() },
    });
    await assert.rejects(cut, { name: 'AbortError' });
    const resumed = await trainCell(cell, { ...options, out });
    assert.equal(resumed.losses.length, settings.steps);
    assert.deepEqual({ ...resumed, seconds: 0 }, { ...whole, seconds: 0 });
    assert.deepEqual(
      resumed.heldOut.map(({ step }) => step),
      [2, 4, 6],
    );
  });

  it("leaves what an arm's routers may not read at zero, and trains the rest", async () => {
    const arm = armNamed('last-2');
    const parameters = parametersOf(configOf(settings, arm));
    const state = await readState(join(folder, 'whole/last-2.3/checkpoint.safetensors'));
    const initial = newState(parameters, arm, 3);
    assert.ok(state);
    const router = parameters.find(({ name }) => name === 'blocks.2.router');
    assert.ok(router);
    const [before, after] = [initial.weights, state.weights].map(flat => [
      ...valuesOf(flat, router),
    ]);
    const outside = (_: number, at: number): boolean => at % 6 < 2;
    assert.deepEqual(after?.filter(outside), [0, 0, 0, 0]);
    assert.ok(after.every((value, at) => outside(value, at) || value !== before?.[at]));
  });

  it('leaves a folder that Loupe runs as the model that was trained', async () => {
    const state = await readState(join(folder, 'whole/last-2.3/checkpoint.safetensors'));
    assert.ok(state);
    const graph = await LossGraph.open(configOf(settings, armNamed('last-2')), 1);
    const window = windowOf(texts.heldOut, 0);
    const expected = await graph.surprisal(state.weights, window);
    await graph.dispose();
    const path = join(folder, 'whole/last-2.3/model');
    const model = await ModelRunner.open({ path, cacheFolder: join(folder, 'cache'), threads: 1 });
    const tokenIds = window.subarray(0, length - 1);
    const { logits } = await model.run({ tokenIds, hooks: [], head: 'logits' });
    await model.dispose();
    assert.equal(model.info.architecture, 'lime');
    assert.ok(logits);
    for (const [t, surprisal] of expected.entries()) {
      const row = logits.subarray(t * vocabulary, (t + 1) * vocabulary);
      const sum = row.reduce((total, value) => total + Math.exp(value), 0);
      const own = Math.log(sum) - (row[window[t + 1] ?? NaN] ?? NaN);
      assert.ok(Math.abs(own - surprisal) < 1e-4, `${own}, expected ${surprisal}`);
    }
  });
});
