import assert from 'node:assert/strict';
import { appendFile, mkdtemp, mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Failure } from '../../../src/common/failure.ts';
import { openStore } from '../../../src/engine/training/activationStores.ts';
import type { TokenSpans, Tokenizer } from '../../../src/models/model.ts';
import type { ActivationWindow } from '../../../src/training/activations/activations.ts';
import { ActivationStore } from '../../../src/training/activations/activationStore.ts';
import { readCorpus } from '../../../src/training/corpus/corpus.ts';
import { packTokens } from '../../../src/training/corpus/packTokens.ts';
import { learningRate } from '../../../src/training/schedule.ts';
import {
  firstRow,
  ShuffledRows,
  type RowOptions,
} from '../../../src/training/activations/shuffledRows.ts';
import { measureTokens } from '../../../src/training/tokenStatistics.ts';
import { ToyActivations } from './toy.ts';

let root: string;
let folder: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'loupe-sources-'));
});
after(() => rm(root, { recursive: true, force: true }));
beforeEach(async () => {
  folder = await mkdtemp(join(root, 'test-'));
});

const failsWith = (code: Failure['code']) => (error: unknown) => Failure.is(error, code);

async function collect(paths: readonly string[]): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of readCorpus(paths)) texts.push(text);
  return texts;
}

/** `printf '{"text": "eins"}\n{"text": "zwei"}\n' | xz | base64` */
const xzLines =
  '/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4AAhAB1dAD2IioaUiBPg84cks87dOd3IeVAlu6MaQ0tOH3AAAAAAAFvTj2M72eqwAAE5InV5YvsftvN9AQAAAAAEWVo=';

describe('readCorpus', () => {
  it('reads text, JSONL and folders in the order of their names', async () => {
    await mkdir(join(folder, 'b'));
    await mkdir(join(folder, 'node_modules'));
    await writeFile(join(folder, 'a.txt'), 'first');
    await writeFile(join(folder, 'b', 'x.jsonl'), '{"text": "second"}\n\n{"text": "third"}\n');
    await writeFile(join(folder, 'c.md'), 'fourth');
    await writeFile(join(folder, 'd.bin'), Uint8Array.of(1, 0, 2));
    await writeFile(join(folder, '.hidden'), 'no');
    await writeFile(join(folder, 'node_modules', 'n.txt'), 'no');
    assert.deepEqual(await collect([folder]), ['first', 'second', 'third', 'fourth']);
  });

  it('unpacks gz', async () => {
    await writeFile(join(folder, 'a.jsonl.gz'), gzipSync('{"text": "eins"}\n{"text": "zwei"}\n'));
    await writeFile(join(folder, 'b.txt.gz'), gzipSync('drei'));
    assert.deepEqual(await collect([folder]), ['eins', 'zwei', 'drei']);
  });

  it('unpacks xz', async () => {
    await writeFile(join(folder, 'a.jsonl.xz'), Buffer.from(xzLines, 'base64'));
    assert.deepEqual(await collect([folder]), ['eins', 'zwei']);
  });

  for (const [name, bytes] of [
    ['a.jsonl', '{"text": 1}'],
    ['a.jsonl', 'no json'],
    ['a.txt', Uint8Array.of(65, 0, 66)],
    ['a.txt', Uint8Array.of(0xff, 0xfe, 0xfd)],
    ['a.txt.gz', 'not packed'],
    ['a.txt.xz', 'not packed'],
    ['a.jsonl.gz', 'not packed'],
    ['a.jsonl.xz', 'not packed at all, but long enough to have had a header'],
    ['a.jsonl.xz', Buffer.from(xzLines, 'base64').subarray(0, 40)],
  ] as const) {
    it(`refuses ${name} of ${JSON.stringify(bytes).slice(0, 40)}`, async () => {
      await writeFile(join(folder, name), bytes);
      await assert.rejects(collect([join(folder, name)]), failsWith('bad-file'));
    });
  }

  it('says that a path is missing', async () => {
    await assert.rejects(collect([join(folder, 'none')]), failsWith('not-found'));
  });
});

/** One token per UTF-16 unit. */
const units: Tokenizer = {
  vocabulary: 65_536,
  separator: 0,
  bos: undefined,
  encode(text): TokenSpans {
    const ids = Uint32Array.from(text, c => c.charCodeAt(0));
    return { ids, starts: ids, ends: ids };
  },
  tokenText: String,
  decode: String,
};

async function* documents(...texts: string[]): AsyncGenerator<{ text: string; source: string }> {
  for (const text of texts) yield await Promise.resolve({ text, source: '' });
}

describe('packTokens', () => {
  it('puts a separator after each document and cuts whole windows', async () => {
    const ids = await packTokens(documents('ab', 'cde', 'f'), units, {
      windowLength: 4,
      limit: 100,
    });
    assert.deepEqual([...ids], [97, 98, 0, 99, 100, 101, 0, 102]);
  });

  it('begins each window with BOS where the model expects it', async () => {
    for (const bos of [0, 5]) {
      const ids = await packTokens(
        documents('ab', 'cde', 'f'),
        { ...units, bos },
        { windowLength: 4, limit: 100 },
      );
      assert.deepEqual([...ids], [bos, 97, 98, 0, bos, 99, 100, 101, bos, 0, 102, 0]);
    }
    const limited = { windowLength: 4, limit: 11 };
    const ids = await packTokens(documents('abcdefghi'), { ...units, bos: 5 }, limited);
    assert.deepEqual([...ids], [5, 97, 98, 99, 5, 100, 101, 102]);
  });

  it('takes no more than the limit', async () => {
    const ids = await packTokens(documents('abcdefgh', 'ijkl'), units, {
      windowLength: 4,
      limit: 7,
    });
    assert.deepEqual([...ids], [97, 98, 99, 100]);
  });

  it('fails where there is less than one window', async () => {
    await assert.rejects(
      packTokens(documents('ab'), units, { windowLength: 4, limit: 9 }),
      failsWith('empty'),
    );
  });

  it('stops when told', async () => {
    const signal = AbortSignal.abort();
    await assert.rejects(packTokens(documents('ab'), units, { windowLength: 1, limit: 9, signal }));
  });
});

describe('ActivationStore', () => {
  const description = {
    model: { name: 'toy', hash: '00' },
    hook: 'blocks.0.hook_resid_post',
    width: 3,
    windowLength: 2,
  };
  const tokens = Uint32Array.of(1, 2, 3, 4, 5, 6);
  const window = (...activations: number[]): ActivationWindow => ({
    tokenIds: Uint32Array.of(1, 2),
    activations: Float32Array.from(activations),
  });

  it('gives back what was appended, also after it was closed', async () => {
    const store = await ActivationStore.create(folder, description, tokens);
    await store.append([window(1, 2, 3, 4, 5, 6)]);
    await store.append([window(7, 8, 9, 10, 11, 12)]);
    await store.close();
    const again = await ActivationStore.open(folder);
    assert.equal(again.windows, 2);
    assert.equal(await again.plannedWindows(), 3);
    const [read] = await again.read(1, 1);
    assert.deepEqual([...(read?.activations ?? [])], [7, 8, 9, 10, 11, 12]);
    assert.deepEqual([...(read?.tokenIds ?? [])], [3, 4]);
    await assert.rejects(again.read(2, 1), failsWith('internal'));
    await again.close();
  });

  it('keeps the targets of a residual SAE beside the activations, and wants one for each window', async () => {
    const base = { name: 'base', hash: '01', k: 4 };
    const store = await ActivationStore.create(folder, { ...description, base }, tokens);
    const target = Float32Array.of(0, -1, -2, -3, -4, -5);
    await store.append(
      [window(1, 2, 3, 4, 5, 6), window(7, 8, 9, 10, 11, 12)].map(w => ({ ...w, target })),
    );
    await assert.rejects(store.append([window(1, 2, 3, 4, 5, 6)]), failsWith('internal'));
    await store.close();
    const again = await ActivationStore.open(folder);
    assert.deepEqual(again.description.base, base);
    const [, second] = await again.read(0, 2);
    assert.deepEqual([...(second?.activations ?? [])], [7, 8, 9, 10, 11, 12]);
    assert.deepEqual([...(second?.target ?? [])], [...target]);
    await again.close();
  });

  it('sees what another process appended, and not what it has not finished', async () => {
    const writer = await ActivationStore.create(folder, description, tokens);
    const reader = await ActivationStore.open(folder);
    await writer.append([window(1, 2, 3, 4, 5, 6)]);
    await appendFile(join(folder, 'activations.f32'), new Uint8Array(24));
    assert.equal(reader.windows, 0);
    await reader.refresh();
    assert.equal(reader.windows, 1);
    await writer.close();
    await reader.close();
  });

  it('is not found where one of its files is gone, and made anew for the same text', async () => {
    const base = { name: 'base', hash: '01', k: 4 };
    for (const name of ['tokens.u32', 'activations.f32', 'targets.f32', 'store.json']) {
      const store = await ActivationStore.create(folder, { ...description, base }, tokens);
      await store.append([{ ...window(1, 2, 3, 4, 5, 6), target: new Float32Array(6) }]);
      await store.close();
      await rm(join(folder, name));
      await assert.rejects(ActivationStore.open(folder), failsWith('not-found'));
      const again = await openStore(folder, { ...description, base }, tokens);
      assert.equal(again.windows, 0);
      await again.close();
    }
  });

  it('says that its file is shorter than promised', async () => {
    const store = await ActivationStore.create(folder, description, tokens);
    await store.append([window(1, 2, 3, 4, 5, 6)]);
    await truncate(join(folder, 'activations.f32'), 10);
    await assert.rejects(store.read(0, 1), failsWith('bad-file'));
    await store.close();
  });

  for (const index of ['', '{}', '{"format":1,"width":-1}', 'null']) {
    it(`refuses the index ${index}`, async () => {
      await writeFile(join(folder, 'store.json'), index);
      await assert.rejects(ActivationStore.open(folder), failsWith('bad-file'));
    });
  }
});

describe('ShuffledRows', () => {
  const options: RowOptions = {
    seed: 3,
    batch: 10,
    roundWindows: 7,
    heldOut: new Set([2, 11]),
    policy: { excludeFirst: true, maxNorm: 5 },
    scale: 2,
    targetScale: 2,
  };
  const source = new ToyActivations(20);

  it('gives each included row once in a pass but for what fills no batch, scaled and in another order each pass', async () => {
    const rows = new ShuffledRows(source, options, firstRow);
    const included = new Map<string, number>();
    for (const [w, { activations }] of (await source.read(0, 20)).entries()) {
      for (let t = 1; t < 16; t++) {
        const x = activations.slice(t * 16, (t + 1) * 16);
        if (!options.heldOut.has(w) && Math.hypot(...x) <= 5) included.set(x.join(), w);
      }
    }
    const batch = new Float32Array(10 * 16);
    const seen: string[] = [];
    for (;;) {
      await rows.next({ input: batch, target: batch, stride: 16 });
      if (rows.position.pass > 0) break;
      for (let b = 0; b < 10; b++)
        seen.push(
          batch
            .slice(b * 16, (b + 1) * 16)
            .map(v => v / 2)
            .join(),
        );
    }
    assert.equal(new Set(seen).size, seen.length);
    assert.ok(seen.every(row => included.has(row)));
    assert.ok(included.size - seen.length < 3 * 10, `${seen.length} of ${included.size}`);
    const second = Array.from({ length: 10 }, (_, b) =>
      batch
        .slice(b * 16, (b + 1) * 16)
        .map(v => v / 2)
        .join(),
    );
    assert.notDeepEqual(second, seen.slice(0, 10));
  });

  it('reads on from any position as if it had not stopped', async () => {
    const whole = new ShuffledRows(source, options, firstRow);
    const batch = new Float32Array(10 * 16);
    for (let step = 0; step < 60; step++) {
      const from = new ShuffledRows(source, options, whole.position);
      await whole.next({ input: batch, target: batch, stride: 16 });
      const again = new Float32Array(10 * 16);
      await from.next({ input: again, target: again, stride: 16 });
      assert.deepEqual(again, batch, `step ${step}`);
    }
    assert.ok(whole.position.pass >= 2);
  });

  it('takes up what a growing source has gained at the next pass', async () => {
    const growing = Object.assign(new ToyActivations(20), { refresh: () => Promise.resolve() });
    const rows = new ShuffledRows(growing, options, firstRow);
    const batch = new Float32Array(10 * 16);
    await rows.next({ input: batch, target: batch, stride: 16 });
    Object.assign(growing, { windows: 30 });
    while (rows.position.pass === 0) await rows.next({ input: batch, target: batch, stride: 16 });
    assert.deepEqual(rows.position.passWindows, [20, 30]);
  });
});

describe('measureTokens', () => {
  it('leaves out the first token of windows and outliers, and scales the mean norm to sqrt(D)', async () => {
    const source = new ToyActivations(10);
    const read = source.read.bind(source);
    source.read = async (first, count) => {
      const windows = await read(first, count);
      if (first === 4) windows[0]?.activations.fill(1e4, 3 * 16, 4 * 16);
      return windows;
    };
    const statistics = await measureTokens(source, { windows: 10, seed: 0 });
    const kept: number[] = [];
    const sums = new Float64Array(16);
    for (let w = 0; w < 10; w++) {
      const [window] = await read(w, 1);
      for (let t = 1; t < 16; t++) {
        if (w === 4 && t === 3) continue;
        const x = window?.activations.subarray(t * 16, (t + 1) * 16) ?? [];
        kept.push(Math.hypot(...x));
        x.forEach((v, i) => (sums[i] = (sums[i] ?? 0) + v));
      }
    }
    assert.equal(statistics.tokens, 160);
    assert.equal(statistics.excluded, 11);
    const meanNorm = kept.reduce((sum, n) => sum + n, 0) / kept.length;
    assert.ok(Math.abs(statistics.scale * meanNorm - 4) < 1e-6);
    statistics.mean.forEach((m, i) =>
      assert.ok(Math.abs(m - (sums[i] ?? NaN) / kept.length) < 1e-6),
    );
  });
});

describe('learningRate', () => {
  const schedule = { peak: 1, minimum: 0.1, warmup: 0.1, steps: 100 };
  it('rises linearly, then falls as a cosine to the minimum', () => {
    assert.equal(learningRate(schedule, 1), 0.1);
    assert.equal(learningRate(schedule, 10), 1);
    assert.ok(Math.abs(learningRate(schedule, 55) - 0.55) < 1e-12);
    assert.ok(Math.abs(learningRate(schedule, 100) - 0.1) < 1e-12);
  });
});
