import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { plot, type Series } from '../../bench/papers/plot.ts';
import { reconstructionAtEveryK } from '../../bench/papers/reconstruction.ts';
import { rememberedModel } from '../../bench/papers/rememberedModel.ts';
import { commandText, writeReport } from '../../bench/papers/report.ts';
import { markdownTable, spreadOf, spreadText } from '../../bench/papers/table.ts';
import { contenders } from '../../bench/papers/hierarchical/contenders.ts';
import { Random } from '../../src/common/random.ts';
import type { SaeRunner } from '../../src/engine/saes/saeRunner.ts';
import type { Dictionary } from '../../src/saes/dictionary.ts';
import { reconstruct, type Encoding } from '../../src/saes/reconstruct.ts';

const hook = 'blocks.0.hook_resid_post';

describe('tables of the experiments', () => {
  it('give the mean and the sample standard deviation of the seeds', () => {
    const { mean, deviation, count } = spreadOf([1, 2, 6]);
    assert.equal(mean, 3);
    assert.equal(deviation, Math.sqrt((4 + 1 + 9) / 2));
    assert.equal(count, 3);
    assert.equal(spreadText([0.5, 0.7], { digits: 2 }), '0.60 ± 0.14');
    assert.equal(spreadText([0.5], { digits: 2, signed: true }), '+0.50');
    assert.equal(spreadText([-0.0001, -0.0001], { signed: true }), '0.000 ± 0.000');
    assert.equal(spreadText([]), '-');
  });

  it('are Markdown with columns of one width', () => {
    assert.equal(
      markdownTable(
        ['', 'EV'],
        [
          ['TopK', '0.5'],
          ['hierarchical', '0.75'],
        ],
      ),
      [
        '|              |   EV |',
        '| ------------ | ---: |',
        '| TopK         |  0.5 |',
        '| hierarchical | 0.75 |',
      ].join('\n'),
    );
  });
});

describe('the report of an experiment', () => {
  it('keeps what a person wrote and replaces what the command wrote', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'loupe-report-'));
    try {
      const path = join(folder, 'report.md');
      await writeReport(path, 'Title', 'first table');
      const written = await readFile(path, 'utf8');
      await writeFile(path, written.replace('# Title\n', '# Title\n\nFindings.\n'));
      await writeReport(path, 'Another', 'second table');
      const text = await readFile(path, 'utf8');
      assert.match(text, /^# Title\n\nFindings\.\n/);
      assert.match(text, /second table\n$/);
      assert.doesNotMatch(text, /first table|Another/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('names files by their last names and leaves out where things are kept', () => {
    const args = ['--text', '/some/where/a.jsonl.xz', '--out', '/tmp/x', '--k', '64'];
    assert.equal(
      commandText('papers/x', [...args, '--domain', 'x=../y/a.txt,b\\c.txt'], ['--out']),
      'npm run bench -- papers/x --text a.jsonl.xz --k 64 --domain x=a.txt,c.txt',
    );
  });
});

describe('plots of the experiments', () => {
  const curve = (label: string, y: number): Series => ({
    label,
    colour: '#123456',
    points: [1, 2, 4].map(x => ({ x, y: y + x / 100, low: y, high: y + 0.1 })),
  });
  const draw = (...series: Series[]): string =>
    plot(
      [
        {
          title: 'EV & more',
          x: { label: 'k', scale: 'log2', ticks: [1, 2, 4], range: [1, 4] },
          y: { label: 'EV', ticks: [0, 1], range: [0, 1] },
          series,
        },
      ],
      'a < b',
    );

  it('put k on a logarithmic scale', () => {
    const [circle1 = NaN, circle2 = NaN, circle4 = NaN] = Array.from(
      draw(curve('a', 0.5)).matchAll(/<circle cx="([\d.]+)"/g),
      match => Number(match[1]),
    );
    assert.ok(circle2 > circle1);
    assert.ok(Math.abs(circle4 - circle2 - (circle2 - circle1)) < 0.3);
  });

  it('label curves that end together without covering each other', () => {
    const svg = draw(curve('a', 0.5), curve('b', 0.501), curve('c', 0.502), curve('d', 0.01));
    const heights = ['a', 'b', 'c', 'd'].map(label =>
      Number(new RegExp(`y="([\\d.]+)" fill="#123456">${label}<`).exec(svg)?.[1]),
    );
    heights.sort((one, other) => one - other);
    heights.slice(1).forEach((y, i) => {
      assert.ok(y - (heights[i] ?? 0) >= 14, heights.join());
    });
  });

  it('escape text and leave out labels of what is not in the picture', () => {
    const svg = draw(curve('in', 0.5), curve('out', 7));
    assert.match(svg, /a &lt; b/);
    assert.match(svg, /EV &amp; more/);
    assert.match(svg, />in</);
    assert.doesNotMatch(svg, />out</);
  });
});

describe('reconstruction at every k', () => {
  it('is what the definitions say of each k', async () => {
    const [F, D, K, T] = [12, 6, 5, 40];
    const random = new Random(3);
    const normal = (length: number) => Float32Array.from({ length }, () => random.normal());
    const dictionary: Dictionary = {
      ...{ name: 'random', hook, width: F, inputWidth: D, model: undefined, provenance: {} },
      ...{ encoder: normal(F * D), encoderBias: new Float32Array(F), decoder: normal(F * D) },
      ...{ decoderBias: normal(D), subtractDecoderBias: false },
      rule: { kind: 'topk', maxK: K },
      tokenPolicy: { excludeFirst: true, maxNorm: Infinity },
    };
    const windows = [0, 1].map(() => normal(T * D));
    const encode = (x: Float32Array): Encoding => strongest(dictionary, x, K);
    const runner = {
      ...{ dictionary, maxK: K },
      encode: (x: Float32Array) => Promise.resolve(encode(x)),
      prefixErrors: (x: Float32Array, encoding: Encoding) => ({
        squaredError: errorsOf(dictionary, x, encoding),
      }),
    } as unknown as SaeRunner;
    const found = await reconstructionAtEveryK(runner, {
      ...{ width: D, windowLength: T, windows: 2 },
      read: first =>
        Promise.resolve([
          { tokenIds: new Uint32Array(T), activations: windows[first] ?? new Float32Array(0) },
        ]),
    });
    for (let k = 1; k <= K; k++) {
      const { ev, l0, dead } = atK(dictionary, windows, K, k);
      assert.ok(Math.abs((found.ev[k - 1] ?? NaN) - ev) < 1e-6);
      assert.ok(Math.abs((found.l0[k - 1] ?? NaN) - l0) < 1e-12);
      assert.ok(Math.abs((found.dead[k - 1] ?? NaN) - dead) < 1e-12);
    }
    assert.equal(found.tokens, 2 * (T - 1));
  });
});

/** The same of one k by the definitions: the first token of each window does not count. */
function atK(
  dictionary: Dictionary,
  windows: readonly Float32Array[],
  K: number,
  k: number,
): { readonly ev: number; readonly l0: number; readonly dead: number } {
  const { inputWidth: D, width: F } = dictionary;
  const x = windows.map(window => [...window.subarray(D)]).flat();
  const tokens = x.length / D;
  const encodings = windows.map(window => strongest(dictionary, window, K));
  const xhat = encodings.flatMap(encoding => [...reconstruct(dictionary, encoding, k).subarray(D)]);
  const mean = Array.from({ length: D }, (_, d) =>
    x.reduce((sum, value, i) => sum + (i % D === d ? value / tokens : 0), 0),
  );
  const squares = (difference: (value: number, i: number) => number): number =>
    x.reduce((sum, value, i) => sum + difference(value, i) ** 2, 0);
  const fired = encodings.flatMap(({ features, activations }) =>
    [...features].filter((_, p) => p >= K && p % K < k && (activations[p] ?? 0) > 0),
  );
  return {
    ev:
      1 -
      squares((value, i) => value - (xhat[i] ?? NaN)) /
        squares((value, i) => value - (mean[i % D] ?? NaN)),
    l0: fired.length / tokens,
    dead: 1 - new Set(fired).size / F,
  };
}

/** |x - xhat_k|^2, (T, K). */
function errorsOf(dictionary: Dictionary, x: Float32Array, encoding: Encoding): Float32Array {
  const { k: K } = encoding;
  const D = dictionary.inputWidth;
  const errors = new Float32Array((x.length / D) * K);
  for (let k = 1; k <= K; k++) {
    reconstruct(dictionary, encoding, k).forEach((value, i) => {
      const at = Math.floor(i / D) * K + k - 1;
      errors[at] = (errors[at] ?? 0) + ((x[i] ?? NaN) - value) ** 2;
    });
  }
  return errors;
}

/** The K largest pre-activations of each token, rectified, in plain loops. */
function strongest(
  { encoder, width: F, inputWidth: D }: Dictionary,
  x: Float32Array,
  k: number,
): Encoding {
  const tokens = x.length / D;
  const features = new Uint32Array(tokens * k);
  const activations = new Float32Array(tokens * k);
  for (let t = 0; t < tokens; t++) {
    const ranked = Array.from({ length: F }, (_, f) => {
      let value = 0;
      for (let d = 0; d < D; d++) value += (encoder[f * D + d] ?? 0) * (x[t * D + d] ?? 0);
      return { f, value: Math.max(0, value) };
    }).sort((one, other) => other.value - one.value);
    ranked.slice(0, k).forEach(({ f, value }, j) => {
      features[t * k + j] = f;
      activations[t * k + j] = value;
    });
  }
  return { k, features, activations };
}

describe('a model that remembers', () => {
  it('runs equal windows and equal replacements once, and after a failure again', async () => {
    let [runs, splices] = [0, 0];
    const model = rememberedModel({
      config: {},
      run: () => {
        if (++runs === 1) return Promise.reject(new Error('once'));
        return Promise.resolve({ hooks: new Map(), surprisal: Float32Array.of(runs) });
      },
      splice: () => Promise.resolve({ hooks: new Map(), surprisal: Float32Array.of(++splices) }),
    });
    const run = (...ids: number[]) =>
      model.run({ tokenIds: Uint32Array.from(ids), hooks: [hook], head: 'loss' });
    const splice = (...values: number[]) =>
      model.splice({ hook, activations: Float32Array.from(values), head: 'loss' });
    await assert.rejects(run(1, 2));
    await run(1, 2);
    await run(1, 2);
    await run(1, 3);
    assert.equal(runs, 3);
    const [first, second] = [await splice(0, 0), await splice(0, 0)];
    assert.equal(first, second);
    await splice(0, 1);
    assert.equal(splices, 2);
  });
});

describe('the SAEs of papers/hierarchical', () => {
  it('are one per objective and k, and the prefix sets end in K', () => {
    const all = contenders(64);
    const named = (objective: string) => all.filter(one => one.objective === objective);
    for (const fixed of ['topk', 'batchtopk'])
      assert.deepEqual(
        named(fixed).map(({ k }) => k),
        [8, 16, 32, 64],
      );
    assert.deepEqual(
      named('hierarchical').map(({ budgets }) => budgets),
      [undefined, [1, 2, 4, 8, 16, 32, 64]],
    );
    assert.equal(new Set(all.map(({ name }) => name)).size, all.length);
  });
});
