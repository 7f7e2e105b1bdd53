import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Failure, type FailureCode } from '../../src/common/failure.ts';
import { Random } from '../../src/common/random.ts';
import type { LoadProgress, ModelRequest } from '../../src/contracts/engine.ts';
import type { Hook } from '../../src/contracts/hooks.ts';
import { ModelRunner } from '../../src/engine/model/modelRunner.ts';
import { ggufBytes, tinyLlama } from '../fixtures/tinyGguf.ts';

const hook = 'blocks.0.hook_resid_post';

let folder: string;
let request: ModelRequest;
let model: ModelRunner;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-model-'));
  request = { path: join(folder, 'tiny.gguf'), cacheFolder: join(folder, 'cache'), threads: 2 };
  await writeFile(request.path, ggufBytes(tinyLlama()));
  model = await ModelRunner.open(request);
});
after(async () => {
  await model.dispose();
  await rm(folder, { recursive: true });
});

function tokens(count: number, seed = 2): Uint32Array {
  const random = new Random(seed);
  return Uint32Array.from({ length: count }, () => random.below(260));
}

function isCode(code: FailureCode): (error: unknown) => boolean {
  return error => Failure.is(error, code);
}

function largestDifference(a: Float32Array | undefined, b: Float32Array | undefined): number {
  assert.ok(a && b);
  assert.equal(a.length, b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? NaN))), 0);
}

describe('A run', () => {
  it('gives the surprisal and probabilities that its logits say', async () => {
    const tokenIds = tokens(40);
    const labels = tokens(40, 3);
    const loss = await model.run({ tokenIds, hooks: [], head: 'loss', labels, predictions: 3 });
    const { logits = new Float32Array() } = await model.run({
      tokenIds,
      hooks: [],
      head: 'logits',
    });
    const vocabulary = 260;
    assert.equal(logits.length, 40 * vocabulary);
    for (let t = 0; t < 40; t++) {
      const row = [...logits.subarray(t * vocabulary, (t + 1) * vocabulary)];
      const logSum = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0));
      const expected = logSum - (row[labels[t] ?? -1] ?? NaN);
      assert.ok(Math.abs((loss.surprisal?.[t] ?? NaN) - expected) < 1e-4);
      const best = [...row.keys()].sort((a, b) => (row[b] ?? 0) - (row[a] ?? 0)).slice(0, 3);
      assert.deepEqual([...(loss.predictedIds ?? [])].slice(3 * t, 3 * t + 3), best);
      for (const [i, id] of best.entries()) {
        const probability = Math.exp((row[id] ?? NaN) - logSum);
        assert.ok(Math.abs((loss.probabilities?.[3 * t + i] ?? NaN) - probability) < 1e-5);
      }
    }
  });

  it('gives consistent hooks: each state is the one before and what was added', async () => {
    const hooks: Hook[] = [
      'hook_embed',
      'blocks.0.hook_resid_pre',
      'blocks.0.hook_attn_out',
      'blocks.0.hook_resid_mid',
      'blocks.0.hook_mlp_out',
      'blocks.0.hook_resid_post',
      'blocks.1.hook_resid_pre',
    ];
    const run = await model.run({ tokenIds: tokens(9), hooks, head: 'none' });
    const at = (hook: Hook) => run.hooks.get(hook) ?? new Float32Array();
    const sum = (a: Float32Array, b: Float32Array) => a.map((value, i) => value + (b[i] ?? NaN));
    assert.deepEqual([...run.hooks.keys()], hooks);
    assert.equal(at('hook_embed').length, 9 * 64);
    assert.deepEqual(at('hook_embed'), at('blocks.0.hook_resid_pre'));
    assert.deepEqual(
      sum(at('blocks.0.hook_resid_pre'), at('blocks.0.hook_attn_out')),
      at('blocks.0.hook_resid_mid'),
    );
    assert.deepEqual(
      sum(at('blocks.0.hook_resid_mid'), at('blocks.0.hook_mlp_out')),
      at('blocks.0.hook_resid_post'),
    );
    assert.deepEqual(at('blocks.1.hook_resid_pre'), at('blocks.0.hook_resid_post'));
  });

  it('after a kept prefix equals the whole run', async () => {
    const tokenIds = tokens(60);
    const labels = tokens(60, 3);
    const asked = { hooks: [hook], head: 'loss' } as const;
    const whole = await model.run({ ...asked, tokenIds, labels, keep: true });
    assert.equal(whole.cache?.length, 60);
    for (const length of [1, 17, 59]) {
      const rest = await model.run({
        ...asked,
        tokenIds: tokenIds.subarray(length),
        labels: labels.subarray(length),
        past: whole.cache.prefix(length),
      });
      assert.ok(largestDifference(rest.surprisal, whole.surprisal?.subarray(length)) < 1e-5);
      assert.ok(
        largestDifference(rest.hooks.get(hook), whole.hooks.get(hook)?.subarray(length * 64)) <
          1e-5,
      );
    }
  });

  it('reads its prefix: another prefix gives other numbers', async () => {
    const asked = { hooks: [hook], head: 'none' } as const;
    const first = await model.run({ ...asked, tokenIds: tokens(20), keep: true });
    const other = await model.run({ ...asked, tokenIds: tokens(20, 9), keep: true });
    assert.ok(first.cache && other.cache);
    const rest = { ...asked, tokenIds: tokens(5, 4) };
    const afterFirst = await model.run({ ...rest, past: first.cache });
    const afterOther = await model.run({ ...rest, past: other.cache });
    assert.ok(largestDifference(afterFirst.hooks.get(hook), afterOther.hooks.get(hook)) > 1e-3);
  });

  it('of more tokens than one pass takes equals runs over prefixes, cut elsewhere', async () => {
    const tokenIds = tokens(1100);
    const asked = { hooks: [hook], head: 'loss' } as const;
    const labels = tokens(1100, 3);
    const whole = await model.run({ ...asked, tokenIds, labels });
    assert.equal(whole.hooks.get(hook)?.length, 1100 * 64);
    let past = undefined;
    for (let from = 0; from < 1100; from += 300) {
      const to = Math.min(from + 300, 1100);
      const part = await model.run({
        ...asked,
        tokenIds: tokenIds.subarray(from, to),
        labels: labels.subarray(from, to),
        keep: true,
        ...(past && { past }),
      });
      past = part.cache;
      assert.ok(largestDifference(part.surprisal, whole.surprisal?.subarray(from, to)) < 1e-5);
    }
  });

  it('runs beside other runs', async () => {
    const asked = { hooks: [hook], head: 'loss' } as const;
    const texts = [tokens(30), tokens(40, 5), tokens(50, 6)];
    const alone = [];
    for (const tokenIds of texts) alone.push(await model.run({ ...asked, tokenIds }));
    const together = await Promise.all(texts.map(tokenIds => model.run({ ...asked, tokenIds })));
    for (const [i, run] of together.entries()) {
      assert.deepEqual(run.hooks.get(hook), alone[i]?.hooks.get(hook));
      assert.deepEqual(run.probabilities, alone[i]?.probabilities);
    }
  });
});

describe('A splice', () => {
  const residual: readonly Hook[] = [
    'hook_embed',
    'blocks.0.hook_resid_mid',
    'blocks.0.hook_resid_post',
    'blocks.1.hook_resid_pre',
    'blocks.1.hook_resid_post',
  ];
  for (const hook of residual) {
    it(`of the clean activation at ${hook} repeats the clean run bit for bit`, async () => {
      const tokenIds = tokens(50);
      const labels = tokens(50, 3);
      const clean = await model.run({ tokenIds, hooks: [hook], head: 'loss', labels });
      const activations = clean.hooks.get(hook) ?? new Float32Array();
      const spliced = await model.splice({ hook, activations, head: 'loss', labels });
      assert.deepEqual(spliced.surprisal, clean.surprisal);
      const plain = await model.run({ tokenIds, hooks: [], head: 'loss', labels });
      assert.deepEqual(plain.surprisal, clean.surprisal);
    });
  }

  it('of another activation gives other numbers, from the changed token on', async () => {
    const tokenIds = tokens(50);
    const labels = tokens(50, 3);
    const clean = await model.run({ tokenIds, hooks: [hook], head: 'loss', labels });
    const activations = Float32Array.from(clean.hooks.get(hook) ?? []);
    activations.fill(0, 30 * 64, 31 * 64);
    const spliced = await model.splice({ hook, activations, head: 'loss', labels });
    const [before, changed] = [clean.surprisal, spliced.surprisal];
    assert.deepEqual(changed?.subarray(0, 30), before?.subarray(0, 30));
    assert.ok(largestDifference(changed?.subarray(30), before?.subarray(30)) > 1e-3);
  });

  it('is refused where there is nothing to replace', async () => {
    const activations = new Float32Array(64);
    const at = (hook: Hook, length = 64) =>
      model.splice({ hook, activations: activations.subarray(0, length), head: 'loss' });
    await assert.rejects(at('blocks.0.hook_mlp_out'), isCode('usage'));
    await assert.rejects(at('blocks.9.hook_resid_post'), isCode('usage'));
    await assert.rejects(at(hook, 63), isCode('mismatch'));
    await assert.rejects(at(hook, 0), isCode('empty'));
  });
});

describe('The unembedding', () => {
  it('ranks tokens by W_U (gain * row), as a scalar computation does', async () => {
    const row = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i));
    const [tokens] = await model.unembed(Float32Array.of(...row, ...row), 3);
    assert.ok(tokens);
    const embed = await model.run({
      tokenIds: Uint32Array.from({ length: 260 }, (_, id) => id),
      hooks: ['hook_embed'],
      head: 'none',
    });
    const gains = tinyLlama().tensors.find(tensor => tensor.name === 'output_norm.weight')?.bytes;
    const gain = new Float32Array(gains?.buffer ?? new ArrayBuffer(0));
    const values = embed.hooks.get('hook_embed') ?? new Float32Array();
    const logits = Array.from({ length: 260 }, (_, id) =>
      row.reduce((sum, x, i) => sum + x * (gain[i] ?? 0) * (values[id * 64 + i] ?? 0), 0),
    );
    const order = [...logits.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0));
    assert.deepEqual(
      tokens.raised.map(token => token.id),
      order.slice(0, 3),
    );
    assert.deepEqual(
      tokens.lowered.map(token => token.id),
      order.slice(-3).reverse(),
    );
    assert.ok(Math.abs((tokens.raised[0]?.logit ?? NaN) - Math.max(...logits)) < 1e-4);
  });
});

describe('A run that cannot be', () => {
  const refused: readonly [what: string, code: FailureCode, run: () => Promise<unknown>][] = [
    ['no tokens', 'empty', () => model.run({ tokenIds: tokens(0), hooks: [hook], head: 'none' })],
    [
      'too many tokens',
      'too-large',
      () => model.run({ tokenIds: tokens(2049), hooks: [hook], head: 'none' }),
    ],
    [
      'a strange token',
      'mismatch',
      () => model.run({ tokenIds: Uint32Array.of(260), hooks: [hook], head: 'none' }),
    ],
    [
      'a strange label',
      'mismatch',
      () =>
        model.run({ tokenIds: tokens(1), hooks: [], head: 'loss', labels: Uint32Array.of(260) }),
    ],
    [
      'labels for other tokens',
      'mismatch',
      () => model.run({ tokenIds: tokens(3), hooks: [], head: 'loss', labels: tokens(2) }),
    ],
    [
      'no hook and no head',
      'usage',
      () => model.run({ tokenIds: tokens(3), hooks: [], head: 'none' }),
    ],
    [
      'a strange hook',
      'usage',
      () => model.run({ tokenIds: tokens(3), hooks: ['blocks.2.hook_resid_pre'], head: 'none' }),
    ],
    [
      'a run that was cancelled',
      'cancelled',
      () =>
        model.run({
          tokenIds: tokens(3),
          hooks: [hook],
          head: 'none',
          signal: AbortSignal.abort(),
        }),
    ],
  ];
  for (const [what, code, run] of refused) {
    it(`is refused: ${what}`, async () => {
      await assert.rejects(run, isCode(code));
    });
  }

  it('is refused: a prefix that an earlier layer ended', async () => {
    const short = await model.run({
      tokenIds: tokens(5),
      hooks: ['blocks.0.hook_resid_mid'],
      head: 'none',
      keep: true,
    });
    assert.ok(short.cache);
    await assert.rejects(
      model.run({ tokenIds: tokens(5), hooks: [], head: 'loss', past: short.cache }),
      isCode('mismatch'),
    );
  });

  it('is cancelled midway', async () => {
    const abort = new AbortController();
    const run = model.run({
      tokenIds: tokens(2000),
      hooks: [hook],
      head: 'loss',
      signal: abort.signal,
    });
    setTimeout(() => abort.abort(), 5);
    await assert.rejects(run, isCode('cancelled'));
    // The next run is not disturbed.
    await model.run({ tokenIds: tokens(5), hooks: [hook], head: 'none' });
  });
});

describe('The decoded weights', () => {
  const logitsOf = async (request: ModelRequest) => {
    const model = await ModelRunner.open(request);
    try {
      return (await model.run({ tokenIds: tokens(7), hooks: [], head: 'logits' })).logits;
    } finally {
      await model.dispose();
    }
  };
  const steps = async (request: ModelRequest) => {
    const seen = new Set<string>();
    const report = ({ step }: LoadProgress) => void seen.add(step);
    await (await ModelRunner.open(request, { report })).dispose();
    return [...seen];
  };
  const weightsFile = async (folder: string) => {
    const names = await readdir(folder);
    return join(folder, names.find(name => name.endsWith('.f32')) ?? 'none');
  };

  it('are kept, and made again where the file is not the one that was written', async () => {
    const own = { ...request, cacheFolder: join(folder, 'kept') };
    const first = await logitsOf(own);
    assert.deepEqual(await steps(own), []);
    const file = await weightsFile(own.cacheFolder);
    await truncate(file, 1000);
    assert.deepEqual(await logitsOf(own), first);
    await writeFile(file, new Uint8Array((await stat(file)).size));
    assert.deepEqual(await steps(own), ['Decoding the weights']);
    assert.deepEqual(await logitsOf(own), first);
    assert.deepEqual(
      (await readdir(own.cacheFolder)).filter(name => name.endsWith('.part')),
      [],
    );
  });

  it('are made by two at a time', async () => {
    const own = { ...request, cacheFolder: join(folder, 'two') };
    const [a, b] = await Promise.all([logitsOf(own), logitsOf(own)]);
    assert.deepEqual(a, b);
  });

  it('leave nothing behind when cancelled', async () => {
    const own = { ...request, cacheFolder: join(folder, 'cancelled') };
    const abort = new AbortController();
    const report = ({ step }: LoadProgress) => {
      if (step === 'Decoding the weights') abort.abort();
    };
    await assert.rejects(
      ModelRunner.open(own, { signal: abort.signal, report }),
      isCode('cancelled'),
    );
    assert.deepEqual(
      (await readdir(own.cacheFolder)).filter(name => name !== 'hashes'),
      [],
    );
  });

  it('are refused where a scale is not finite', async () => {
    const tiny = tinyLlama();
    const tensors = tiny.tensors.map(tensor => {
      if (tensor.name !== 'blk.1.ffn_up.weight') return tensor;
      const bytes = tensor.bytes.slice();
      bytes.set([0x00, 0x7c], 34);
      return { ...tensor, bytes };
    });
    const path = join(folder, 'infinite.gguf');
    await writeFile(path, ggufBytes({ ...tiny, tensors }));
    await assert.rejects(
      ModelRunner.open({ ...request, path }),
      error => Failure.is(error, 'bad-file') && error.message.includes('blk.1.ffn_up.weight'),
    );
  });

  it('are refused where the cache folder cannot be', async () => {
    const cacheFolder = join(request.path, 'cache');
    await assert.rejects(ModelRunner.open({ ...request, cacheFolder }), error => Failure.is(error));
  });
});
