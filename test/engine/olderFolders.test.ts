import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import type { Hook } from '../../src/contracts/hooks.ts';
import { ModelRunner } from '../../src/engine/model/modelRunner.ts';
import { SafetensorsFile, type Tensor, writeSafetensors } from '../../src/weights/safetensors.ts';
import { fixture } from './model.ts';

/*
 * The models of test/fixtures/architectures, which transformers 5 wrote, as their makers' files on the Hub are: in the keys
 * of older versions, with the masks and frequencies that those saved too. The goldens are the same.
 */

type Config = Record<string, unknown>;
type Tensors = Record<string, Tensor>;

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'loupe-older-'));
});
after(() => rm(root, { recursive: true }));

const bytes = (dtype: 'U8' | 'BOOL', ...shape: number[]): Tensor => {
  const length = shape.reduce((product, size) => product * size, 1);
  return { dtype, shape, data: new Uint8Array(length).fill(1) };
};
const halves = (...shape: number[]): Tensor => {
  const length = shape.reduce((product, size) => product * size, 1);
  // -infinity: what -1e9 is in 16 bits.
  return { dtype: 'F16', shape, data: new Uint16Array(length).fill(0xfc00) };
};

/** `rope_parameters` taken apart as before transformers 5. */
function olderRope({ rope_parameters: parameters, ...config }: Config): Config {
  const { rope_theta, rope_type, ...rope } = parameters as Config;
  const isPlain = rope_type === 'default';
  return { ...config, rope_theta, rope_scaling: isPlain ? null : { ...rope, type: rope_type } };
}

function renamed(tensors: Tensors, name: (old: string) => string): Tensors {
  return Object.fromEntries(Object.entries(tensors).map(([old, tensor]) => [name(old), tensor]));
}

const same = (tensors: Tensors) => tensors;
const without = (config: Config, ...keys: string[]): Config =>
  Object.fromEntries(Object.entries(config).filter(([key]) => !keys.includes(key)));

const cases: Readonly<
  Record<
    string,
    {
      readonly of: string;
      readonly config: (config: Config) => Config;
      readonly tensors: (tensors: Tensors) => Tensors;
    }
  >
> = {
  'GPT-2 without a prefix, with its masks': {
    of: 'gpt2',
    config: config => without({ ...config, n_ctx: 64 }, 'tie_word_embeddings'),
    tensors: tensors => ({
      ...renamed(tensors, name => name.replace(/^transformer\./, '')),
      'h.0.attn.bias': halves(1, 1, 64, 64),
      'h.1.attn.masked_bias': halves(),
    }),
  },
  'Pythia with masks in bytes and booleans': {
    of: 'gpt_neox',
    config: config => ({
      ...without(config, 'rope_parameters', 'attention_bias', 'tie_word_embeddings'),
      rotary_emb_base: 10000,
      rotary_pct: 0.34,
    }),
    tensors: tensors => ({
      ...tensors,
      'gpt_neox.layers.0.attention.bias': bytes('U8', 1, 1, 64, 64),
      'gpt_neox.layers.1.attention.bias': bytes('BOOL', 1, 1, 64, 64),
      'gpt_neox.layers.0.attention.masked_bias': halves(),
      'gpt_neox.layers.0.attention.rotary_emb.inv_freq': halves(2),
    }),
  },
  'Llama with rope_type under "type" and frequencies': {
    of: 'llama',
    config: config => without(olderRope(config), 'head_dim'),
    tensors: tensors => ({ ...tensors, 'model.layers.0.self_attn.rotary_emb.inv_freq': halves(3) }),
  },
  'Llama with positions scaled': { of: 'llama-linear', config: olderRope, tensors: same },
  Mistral: { of: 'mistral', config: olderRope, tensors: same },
  'Qwen 2': {
    of: 'qwen2',
    config: config => without({ ...olderRope(config), sliding_window: 4 }, 'layer_types'),
    tensors: same,
  },
  'Qwen 2 with a window': {
    of: 'qwen2-window',
    config: config => without(olderRope(config), 'layer_types'),
    tensors: same,
  },
  'Qwen 3': {
    of: 'qwen3',
    config: config => without(olderRope(config), 'layer_types'),
    tensors: same,
  },
  'Gemma 2': {
    of: 'gemma2',
    config: config =>
      without(
        { ...olderRope(config), cache_implementation: 'hybrid' },
        'layer_types',
        'tie_word_embeddings',
      ),
    tensors: same,
  },
  'Gemma 3 beside a model that sees pictures, by transformers 4': {
    of: 'gemma3-six',
    config: config => ({
      model_type: 'gemma3',
      text_config: {
        ...without(config, 'layer_types', 'rope_parameters', '_sliding_window_pattern'),
        ...{ rope_theta: 1000000, rope_local_base_freq: 10000, rope_scaling: null },
      },
    }),
    tensors: tensors => ({
      ...renamed(tensors, name => `language_model.${name}`),
      'vision_tower.vision_model.embeddings.position_embedding.weight': halves(4, 4),
      'multi_modal_projector.mm_input_projection_weight': halves(4, 4),
    }),
  },
  'Gemma 3 beside a model that sees pictures, by transformers 5': {
    of: 'gemma3',
    config: config => ({ model_type: 'gemma3', text_config: config }),
    tensors: tensors => ({
      ...renamed(tensors, name => name.replace(/^model\./, 'model.language_model.')),
      'model.vision_tower.vision_model.post_layernorm.weight': halves(4),
    }),
  },
  'Phi-3 of a long context': {
    of: 'phi3-long',
    config: config => {
      const { rope_scaling, ...older } = olderRope(config);
      const { long_factor, short_factor } = rope_scaling as Config;
      const rope = { long_factor, short_factor, type: 'su' };
      return { ...older, partial_rotary_factor: 0.75, rope_scaling: rope };
    },
    tensors: same,
  },
  'OLMo 2': { of: 'olmo2', config: olderRope, tensors: same },
};

async function tensorsOf(path: string): Promise<Tensors> {
  const file = await SafetensorsFile.open(path);
  const names = [...file.tensors.keys()];
  return Object.fromEntries(
    await Promise.all(names.map(async name => [name, await file.read(name)] as const)),
  );
}

describe('A folder of an older transformers gives the same logits', () => {
  for (const [what, { of, config, tensors }] of Object.entries(cases)) {
    it(what, async t => {
      const source = fixture(`architectures/${of}`);
      const path = join(root, what.replaceAll(' ', '-'));
      await mkdir(path);
      const given = JSON.parse(await readFile(join(source, 'config.json'), 'utf8')) as Config;
      await writeFile(join(path, 'config.json'), JSON.stringify(config(given)));
      const written = tensors(await tensorsOf(join(source, 'model.safetensors')));
      await writeSafetensors(join(path, 'model.safetensors'), written);
      const goldens = await SafetensorsFile.open(join(source, 'goldens.safetensors'));
      const { data } = await goldens.read('ids');
      const tokenIds = Uint32Array.from(data as BigInt64Array, Number);
      const model = await ModelRunner.open({ path, cacheFolder: join(root, 'cache'), threads: 1 });
      const { logits } = await model.run({ tokenIds, hooks: [], head: 'logits' });
      await model.dispose();
      const expected = await goldens.readFloat32('logits');
      assert.ok(logits);
      assert.equal(logits.length, expected.length);
      const most = expected.reduce(
        (worst, value, i) => Math.max(worst, Math.abs(value - (logits[i] ?? NaN))),
        0,
      );
      t.diagnostic(`max |difference| ${most.toExponential(1)}`);
      assert.ok(most < 1e-4, String(most));
    });
  }
});

describe('A runner', () => {
  it('of a model of one layer has all of its hooks', async () => {
    const source = fixture('architectures/llama');
    const path = join(root, 'one-layer');
    await mkdir(path);
    const config = JSON.parse(await readFile(join(source, 'config.json'), 'utf8')) as Config;
    await writeFile(join(path, 'config.json'), JSON.stringify({ ...config, num_hidden_layers: 1 }));
    const tensors = Object.entries(await tensorsOf(join(source, 'model.safetensors')));
    const kept = tensors.filter(([name]) => !/layers\.[12]\./.test(name));
    await writeSafetensors(join(path, 'model.safetensors'), Object.fromEntries(kept));
    const goldens = await SafetensorsFile.open(join(source, 'goldens.safetensors'));
    const { data } = await goldens.read('ids');
    const tokenIds = Uint32Array.from(data as BigInt64Array, Number);
    const hooks: Hook[] = ['blocks.0.attn.hook_pattern', 'blocks.0.hook_resid_post'];
    const model = await ModelRunner.open({ path, cacheFolder: join(root, 'cache'), threads: 1 });
    const run = await model.run({ tokenIds, hooks, head: 'logits' });
    await model.dispose();
    for (const hook of hooks) {
      const expected = await goldens.readFloat32(hook);
      const actual = run.hooks.get(hook) ?? assert.fail();
      assert.ok(
        expected.every((value, i) => Math.abs(value - (actual[i] ?? NaN)) < 1e-4),
        hook,
      );
    }
    assert.ok(run.logits?.every(Number.isFinite));
  });

  it('that was let go runs nothing more, and refuses a pattern beyond its memory before it runs', async () => {
    const path = fixture('architectures/llama');
    const model = await ModelRunner.open({ path, cacheFolder: join(root, 'cache'), threads: 1 });
    const hook = 'blocks.0.attn.hook_pattern';
    const wide = Object.assign(model, { config: { ...model.config, contextLength: 1 << 20 } });
    await assert.rejects(
      wide.run({ tokenIds: new Uint32Array(1 << 15), hooks: [hook], head: 'none' }),
      error => Failure.is(error, 'too-large'),
    );
    const tokenIds = Uint32Array.of(1, 2);
    const running = model.run({ tokenIds, hooks: [hook], head: 'none' });
    await model.dispose();
    assert.ok((await running).hooks.get(hook));
    const stopped = (error: unknown) => Failure.is(error, 'stopped');
    await assert.rejects(model.run({ tokenIds, hooks: [hook], head: 'none' }), stopped);
    await assert.rejects(model.unembed(new Float32Array(model.config.width), 1), stopped);
  });
});
