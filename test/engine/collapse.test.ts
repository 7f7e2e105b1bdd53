import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Failure, type FailureCode } from '../../src/common/failure.ts';
import { Random } from '../../src/common/random.ts';
import type { Hook } from '../../src/contracts/hooks.ts';
import { wordPlaces } from '../../src/engine/lime/closeWords.ts';
import { type CollapseOptions, measureCollapse } from '../../src/engine/lime/collapse.ts';
import type { MeasuredModel } from '../../src/engine/lime/collapseRows.ts';
import { ModelRunner } from '../../src/engine/model/modelRunner.ts';
import { linearSeparability } from '../../src/lime/linearSeparability.ts';
import { fixture } from './model.ts';

/** The words' tokens: " both" is two. */
const ids: Readonly<Record<string, readonly number[]>> = {
  ' one': [3],
  ' two': [5],
  ' three': [7],
  ' rare': [60],
  ' both': [3, 5],
};
const windowLength = 20;
const random = new Random(4);
/** Every token but 60, which is there three times. */
const tokenIds = Uint32Array.from({ length: 240 }, () => random.below(12)).map((id, at) =>
  at % 100 === 7 ? 60 : id,
);
const asked = {
  tokenIds,
  windowLength,
  words: ['one', 'two', 'three'],
  alpha: 2,
  samples: 4,
  seed: 9,
};

let folder: string;
let runner: ModelRunner;
let model: MeasuredModel;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-collapse-'));
  const path = fixture('lime/gqa4');
  runner = await ModelRunner.open({ path, cacheFolder: folder, threads: 2 });
  const encode = (text: string) => {
    const found = Uint32Array.from(ids[text] ?? []);
    return { ids: found, starts: found, ends: found };
  };
  model = {
    run: request => runner.run(request),
    config: runner.config,
    info: runner.info,
    tokenizer: {
      vocabulary: 61,
      separator: 0,
      bos: undefined,
      encode,
      tokenText: String,
      decode: String,
    },
  };
});
after(async () => {
  await runner.dispose();
  await rm(folder, { recursive: true });
});

/** All rows of the text at a hook, window by window. */
async function rowsAt(hook: Hook): Promise<number[][][]> {
  const windows: number[][][] = [];
  for (let start = 0; start < tokenIds.length; start += windowLength) {
    const window = tokenIds.subarray(start, start + windowLength);
    const run = await runner.run({ tokenIds: window, hooks: [hook], head: 'none' });
    const values = [...(run.hooks.get(hook) ?? [])];
    const width = values.length / windowLength;
    windows.push(
      Array.from({ length: windowLength }, (_, t) => values.slice(t * width, (t + 1) * width)),
    );
  }
  return windows;
}

/** At alpha 2 the entropy is -log(sum of squares of K / trace(K)^2), and needs no eigenvalues. */
function entropyAt2(sample: number[][], all: number[][]): number {
  const moments = (sample[0] ?? []).map((_, i) => {
    const column = all.map(row => row[i] ?? NaN);
    const mean = column.reduce((sum, value) => sum + value, 0) / column.length;
    const squares = column.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    return { mean, deviation: Math.sqrt(squares / (column.length - 1)) };
  });
  const z = sample.map(row =>
    row.map(
      (value, i) => (value - (moments[i]?.mean ?? NaN)) / ((moments[i]?.deviation ?? NaN) + 1e-5),
    ),
  );
  const dot = (a: number[], b: number[]) =>
    a.reduce((sum, value, i) => sum + value * (b[i] ?? NaN), 0);
  const trace = z.reduce((sum, row) => sum + dot(row, row), 0);
  const squares = z.flatMap(a => z.map(b => dot(a, b) ** 2)).reduce((sum, value) => sum + value, 0);
  return -Math.log(squares / trace ** 2);
}

describe('Collapse analyses of a model', () => {
  it('measure the entropy of evenly spread windows, normalised over the whole text', async () => {
    const { layers, samples, architecture } = await measureCollapse(model, asked);
    assert.deepEqual([layers.length, samples, architecture], [4, 4, 'lime']);
    for (const layer of [0, 2]) {
      for (const [place, hook] of [
        ['values', `blocks.${layer}.attn.hook_v`],
        ['hiddenStates', `blocks.${layer}.hook_resid_post`],
      ] as const) {
        const windows = await rowsAt(hook);
        const entropies = [0, 3, 6, 9].map(w => entropyAt2(windows[w] ?? [], windows.flat()));
        const mean = entropies.reduce((sum, value) => sum + value, 0) / 4;
        const variance = entropies.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 4;
        const measured = layers[layer]?.[place].entropy;
        assert.ok(Math.abs((measured?.mean ?? NaN) - mean) < 1e-9);
        assert.ok(Math.abs((measured?.deviation ?? NaN) - Math.sqrt(variance)) < 1e-9);
      }
    }
  });

  it("tell the words' own rows apart, as many of each", async () => {
    const result = await measureCollapse(model, { ...asked, epochs: 3 });
    const counts = [3, 5, 7].map(id => tokenIds.filter(token => token === id).length);
    assert.deepEqual(
      result.words.map(({ count }) => count),
      counts,
    );
    assert.equal(result.perWord, Math.min(...counts));
    assert.equal(result.chance, 1 / 3);
    const rows = (await rowsAt('blocks.3.attn.hook_v')).flat();
    const { positions, perWord } = wordPlaces(
      tokenIds,
      new Map([['one', 3], ['two', 5], ['three', 7]]), // prettier-ignore
      1e9,
    );
    assert.deepEqual(
      [...positions].map(at => tokenIds[at]),
      [3, 5, 7].flatMap(id => Array<number>(perWord).fill(id)),
    );
    const expected = linearSeparability(
      {
        rows: Float32Array.from([...positions].flatMap(at => rows[at] ?? [])),
        width: 32,
        labels: Uint32Array.from(positions, (_, n) => Math.floor(n / perWord)),
        classes: 3,
      },
      { folds: 5, epochs: 3 },
      new Random(9),
    );
    assert.deepEqual(result.layers[3]?.values.separability, expected);
  });

  it('are the same for the same seed', async () => {
    const project = { ...asked, projected: [1], points: 30 };
    const result = await measureCollapse(model, project);
    assert.deepEqual(await measureCollapse(model, project), result);
    const [values, hidden] = result.projections;
    assert.deepEqual([values?.layer, values?.place], [1, 'values']);
    assert.deepEqual([hidden?.layer, hidden?.place], [1, 'hiddenStates']);
    assert.equal(values?.points.length, 60);
    assert.ok(values.points.every(Number.isFinite));
    assert.deepEqual(
      [...values.words],
      [0, 1, 2].flatMap(word => Array<number>(10).fill(word)),
    );
  });

  it('go without words that the text has too few of, and without words', async () => {
    for (const words of [['one', 'rare'], []]) {
      const result = await measureCollapse(model, { ...asked, words, projected: [0] });
      assert.ok(result.layers.every(({ values }) => values.separability === null));
      assert.ok(result.layers.every(({ values }) => values.entropy.mean > 0));
      assert.match(result.convention, /not measured/);
    }
  });

  const refused: readonly [string, FailureCode, Partial<CollapseOptions>, RegExp][] = [
    ['a word of two tokens', 'usage', { words: ['one', 'both'] }, /"both" is 2 tokens/],
    ['a word of no token', 'usage', { words: ['one', 'none'] }, /"none" is 0 tokens/],
    ['a word named twice', 'usage', { words: ['one', 'two', 'one'] }, /"one" is named twice/],
    ['one word', 'usage', { words: ['one'] }, /one word/],
    ['an alpha of 0', 'usage', { alpha: 0 }, /Alpha is 0/],
    ['a layer that is not there', 'usage', { projected: [4] }, /no layer 4: expected 0 to 3/],
    ['half a window', 'empty', { tokenIds: tokenIds.subarray(0, 10) }, /10 tokens/],
  ];
  for (const [what, code, changes, message] of refused) {
    it(`refuse ${what}`, async () => {
      await assert.rejects(measureCollapse(model, { ...asked, ...changes }), error => {
        assert.ok(Failure.is(error, code));
        assert.match(error.message, message);
        return true;
      });
    });
  }

  for (const stopAt of [
    'Reading the text',
    'Measuring entropy',
    'Telling words apart',
    'Laying tokens out',
  ]) {
    it(`stop when they are cancelled: ${stopAt}`, async () => {
      const stop = new AbortController();
      let after = 0;
      const report = (step: string) => {
        if (stop.signal.aborted) after++;
        if (step === stopAt) stop.abort();
      };
      const { signal } = stop;
      await assert.rejects(
        measureCollapse(model, { ...asked, projected: [0, 1], report, signal }),
        error => Failure.is(error, 'cancelled'),
      );
      assert.equal(after, 0);
    });
  }
});

describe('Tokens of words', () => {
  const tokens = new Map([
    ['one', 1],
    ['two', 2],
  ]);

  it('are as many of each, evenly spread over the text', () => {
    const text = Uint32Array.of(1, 2, 1, 1, 9, 1, 2, 1, 1);
    assert.deepEqual(wordPlaces(text, tokens, 100), {
      words: [
        { word: 'one', tokenId: 1, count: 6 },
        { word: 'two', tokenId: 2, count: 2 },
      ],
      positions: Uint32Array.of(0, 5, 1, 6),
      perWord: 2,
    });
  });

  it('are at most as many as fit in memory', () => {
    const text = Uint32Array.from({ length: 8000 }, (_, at) => 1 + (at % 2));
    assert.equal(wordPlaces(text, tokens, 7).perWord, 7);
    assert.equal(wordPlaces(text, tokens, 1e6).perWord, 1668);
  });
});
