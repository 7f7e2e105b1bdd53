import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import type { Hook } from '../../src/contracts/hooks.ts';
import { evaluate } from '../../src/engine/analysis/evaluate.ts';
import { ModelRunner } from '../../src/engine/model/modelRunner.ts';
import { SaeRunner } from '../../src/engine/saes/saeRunner.ts';
import { hookAt, hookWidth } from '../../src/models/hooks.ts';
import { SafetensorsFile } from '../../src/weights/safetensors.ts';
import { llamaPieces, limePieces, tinyShape, writePieces } from '../fixtures/llamaFolder.ts';
import { fixture } from './model.ts';

/** Goldens are the authors' own PyTorch code in float64: test/fixtures/makeLimeGoldens.py. */
const tolerance = 1e-4;

let folder: string;
const opened: ModelRunner[] = [];
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-lime-'));
});
after(async () => {
  for (const model of opened) await model.dispose();
  await rm(folder, { recursive: true });
});

async function openModel(path: string): Promise<ModelRunner> {
  const model = await ModelRunner.open({ path, cacheFolder: join(folder, 'cache'), threads: 2 });
  opened.push(model);
  return model;
}

function everyHook(layers: number): Hook[] {
  const places = [
    'attn.hook_q',
    'attn.hook_k',
    'attn.hook_v',
    'attn.hook_z',
    'hook_attn_out',
    'hook_mlp_out',
  ] as const;
  const added = places.flatMap(place =>
    Array.from({ length: layers }, (_, layer): Hook => `blocks.${layer}.${place}`),
  );
  return [...Array.from({ length: 2 * layers + 1 }, (_, point) => hookAt(point)), ...added];
}

function largestDifference(a: Float32Array | undefined, b: Float32Array | undefined): number {
  assert.ok(a && b);
  assert.equal(a.length, b.length);
  assert.ok(a.every(Number.isFinite));
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? NaN))), 0);
}

for (const name of ['mha2', 'mha4', 'mha6', 'gqa2', 'gqa4', 'gqa6', 'llama2']) {
  describe(`A checkpoint agrees with the authors' code: ${name}`, () => {
    let model: ModelRunner;
    let goldens: SafetensorsFile;
    let tokenIds: Uint32Array;
    before(async () => {
      model = await openModel(fixture(`lime/${name}`));
      goldens = await SafetensorsFile.open(fixture(`lime/${name}/goldens.safetensors`));
      const { data } = await goldens.read('ids');
      tokenIds = Uint32Array.from(data as BigInt64Array, Number);
    });

    it('in every hook and in its logits', async t => {
      const { layers } = model.config;
      assert.equal(layers, Number(name.at(-1)));
      assert.equal(model.info.architecture, name === 'llama2' ? 'llama' : 'lime');
      const hooks = everyHook(layers);
      const run = await model.run({ tokenIds, hooks, head: 'logits' });
      const worst = { of: 'logits', difference: 0 };
      for (const of of ['logits', ...hooks] as const) {
        const actual = of === 'logits' ? run.logits : run.hooks.get(of);
        const difference = largestDifference(actual, await goldens.readFloat32(of));
        if (difference > worst.difference) Object.assign(worst, { of, difference });
      }
      t.diagnostic(`max |difference| ${worst.difference.toExponential(1)} at ${worst.of}`);
      assert.ok(worst.difference < tolerance, JSON.stringify(worst));
    });

    it('wherever the run is cut in two', async () => {
      const logits = await goldens.readFloat32('logits');
      // Every state of the shallow models; of deeper ones a few.
      const states = 2 * model.config.layers;
      for (let point = 0; point <= states; point += states > 4 ? 3 : 1) {
        const run = await model.run({ tokenIds, hooks: [hookAt(point)], head: 'logits' });
        assert.ok(largestDifference(run.logits, logits) < tolerance);
      }
    });

    it('at one place inside the attention, asked for alone', async () => {
      const hook = `blocks.${model.config.layers - 1}.attn.hook_v` as const;
      const run = await model.run({ tokenIds, hooks: [hook], head: 'none' });
      const values = run.hooks.get(hook);
      assert.equal(values?.length, tokenIds.length * hookWidth(hook, model.config));
      assert.ok(largestDifference(values, await goldens.readFloat32(hook)) < tolerance);
    });

    it('after a kept prefix, and token by token', async () => {
      const hook = hookAt(2 * model.config.layers - 1);
      const asked = { hooks: [hook], head: 'logits' } as const;
      const logits = await goldens.readFloat32('logits');
      const state = await goldens.readFloat32(hook);
      const { vocabulary, width } = model.config;
      const whole = await model.run({ ...asked, tokenIds, keep: true });
      for (const length of [1, 9, tokenIds.length - 1]) {
        const past = whole.cache?.prefix(length);
        assert.ok(past);
        const rest = await model.run({ ...asked, tokenIds: tokenIds.subarray(length), past });
        assert.ok(largestDifference(rest.logits, logits.subarray(length * vocabulary)) < tolerance);
        assert.ok(
          largestDifference(rest.hooks.get(hook), state.subarray(length * width)) < tolerance,
        );
      }
      let past = undefined;
      for (const [t, id] of tokenIds.entries()) {
        const tokenIds = Uint32Array.of(id);
        const step = await model.run({ ...asked, tokenIds, keep: true, ...(past && { past }) });
        past = step.cache;
        const expected = logits.subarray(t * vocabulary, (t + 1) * vocabulary);
        assert.ok(largestDifference(step.logits, expected) < tolerance);
      }
    });
  });
}

describe('A splice of a LIMe model', () => {
  let model: ModelRunner;
  const tokenIds = Uint32Array.from({ length: 20 }, (_, t) => (7 * t * t + 3) % 61);
  const { length } = tokenIds;
  before(async () => {
    model = await openModel(fixture('lime/gqa4'));
  });

  it('of the clean activation repeats the clean run bit for bit at every state', async () => {
    for (let point = 0; point <= 8; point++) {
      const hook = hookAt(point);
      const clean = await model.run({ tokenIds, hooks: [hook], head: 'logits', keepBuffers: true });
      const activations = clean.hooks.get(hook) ?? new Float32Array();
      const { buffers } = clean;
      const spliced = await model.splice({ hook, activations, buffers, head: 'logits' });
      assert.deepEqual(spliced.logits, clean.logits);
    }
  });

  it('reads the layers before it: other buffers give other numbers', async () => {
    const hook = 'blocks.1.hook_resid_post';
    const asked = { hooks: [hook], head: 'logits', keepBuffers: true } as const;
    const clean = await model.run({ ...asked, tokenIds });
    const other = await model.run({ ...asked, tokenIds: tokenIds.map(id => (id + 1) % 61) });
    const activations = clean.hooks.get(hook) ?? new Float32Array();
    const { buffers } = other;
    const spliced = await model.splice({ hook, activations, buffers, head: 'logits' });
    assert.ok(largestDifference(spliced.logits, clean.logits) > 1e-2);
  });

  it('is refused without them, and with those of other tokens', async () => {
    const hook = 'blocks.1.hook_resid_post';
    const activations = new Float32Array(length * 24);
    await assert.rejects(model.splice({ hook, activations, head: 'logits' }), error =>
      Failure.is(error, 'usage'),
    );
    const { buffers } = await model.run({
      tokenIds: tokenIds.subarray(1),
      hooks: [hook],
      head: 'none',
      keepBuffers: true,
    });
    await assert.rejects(model.splice({ hook, activations, buffers, head: 'logits' }), error =>
      Failure.is(error, 'usage'),
    );
  });
});

describe('An SAE of a LIMe model', () => {
  it('that reconstructs exactly loses nothing where it takes the place of the clean state', async () => {
    const model = await openModel(fixture('lime/gqa4'));
    const { width } = model.config;
    // x = relu(x) - relu(-x)
    const rows = new Float32Array(2 * width * width); // (F, D)
    for (let i = 0; i < width; i++) {
      rows[i * width + i] = 1;
      rows[(width + i) * width + i] = -1;
    }
    const sae = await SaeRunner.open(
      {
        name: 'exact',
        hook: 'blocks.2.hook_resid_mid',
        width: 2 * width,
        inputWidth: width,
        encoder: rows,
        encoderBias: new Float32Array(2 * width),
        decoder: rows,
        decoderBias: new Float32Array(width),
        subtractDecoderBias: false,
        rule: { kind: 'topk', maxK: width },
        tokenPolicy: { excludeFirst: true, maxNorm: Infinity },
        model: undefined,
        provenance: {},
      },
      { threads: 1 },
    );
    const tokenIds = Uint32Array.from({ length: 60 }, (_, t) => (t * t + 5 * t) % 61);
    const measured = await evaluate(model, sae, { tokenIds, windowLength: 30, ks: [1, width] });
    await sae.dispose();
    const [poor, exact] = measured.results;
    assert.ok(exact && poor);
    assert.ok(Math.abs(exact.ce.delta) < 1e-6, String(exact.ce.delta));
    // A random model may as well gain.
    assert.ok(Math.abs(poor.ce.delta) > 1e-3, String(poor.ce.delta));
  });
});

describe('Buffers', () => {
  it('of more tokens than one pass takes are those of every pass', async () => {
    const { config, tensors } = limePieces(llamaPieces(5));
    const long = { config: { ...config, max_position_embeddings: 700 }, tensors };
    const model = await openModel(await writePieces(join(folder, 'long'), long));
    const tokenIds = Uint32Array.from({ length: 700 }, (_, t) => (3 * t * t + t) % 50);
    const hook = 'blocks.0.hook_resid_post';
    const clean = await model.run({ tokenIds, hooks: [hook], head: 'logits', keepBuffers: true });
    const { keyValueHeads, headWidth } = tinyShape;
    assert.equal(clean.buffers?.get(0)?.length, 700 * keyValueHeads * 2 * headWidth);
    const activations = clean.hooks.get(hook) ?? new Float32Array();
    const { buffers } = clean;
    const spliced = await model.splice({ hook, activations, buffers, head: 'logits' });
    assert.deepEqual(spliced.logits, clean.logits);
  });
});

describe('Identity routers', () => {
  it('in a Llama equal the Llama bit for bit', async () => {
    const pieces = llamaPieces();
    const llama = await openModel(await writePieces(join(folder, 'llama'), pieces));
    const lime = await openModel(await writePieces(join(folder, 'identity'), limePieces(pieces)));
    assert.deepEqual([llama.info.architecture, lime.info.architecture], ['llama', 'lime']);
    const tokenIds = Uint32Array.from({ length: 100 }, (_, t) => (5 * t * t + t) % 50);
    const hooks = everyHook(tinyShape.layers);
    const expected = await llama.run({ tokenIds, hooks, head: 'logits', keep: true });
    const actual = await lime.run({ tokenIds, hooks, head: 'logits', keep: true });
    assert.deepEqual(actual.logits, expected.logits);
    for (const hook of hooks) assert.deepEqual(actual.hooks.get(hook), expected.hooks.get(hook));
    assert.deepEqual(actual.cache, expected.cache);
    const past = { past: expected.cache?.prefix(60), tokenIds: tokenIds.subarray(60) };
    assert.ok(past.past);
    const rest = { ...past, past: past.past, hooks: [], head: 'logits' } as const;
    assert.deepEqual((await lime.run(rest)).logits, (await llama.run(rest)).logits);
  });
});
