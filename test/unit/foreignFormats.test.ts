import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import { hookOfModule, hookOfName } from '../../src/saes/formats/hookNames.ts';
import { hooksOfModule } from '../../src/saes/formats/sparsifyHooks.ts';
import { readDictionary } from '../../src/saes/readDictionary.ts';

const fixtures = join(import.meta.dirname, '../fixtures/foreign');
let root = '';
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'loupe-formats-'));
});
after(async () => rm(root, { recursive: true, force: true }));

/** A file or folder of the fixtures under another name, which says nothing. */
async function copied(path: string, to: string): Promise<string> {
  const target = join(root, to);
  await mkdir(dirname(target), { recursive: true });
  await cp(join(fixtures, path), target, { recursive: true });
  return target;
}

function failure(code: string, ...parts: string[]) {
  return (error: unknown) => {
    assert.ok(error instanceof Failure, String(error));
    assert.equal(error.code, code, error.message);
    const whole = `${error.message} ${error.action ?? ''}`;
    for (const part of parts) assert.ok(whole.includes(part), `"${part}" in: ${whole}`);
    return true;
  };
}

const tell = (path: string, json: object) => writeFile(path, JSON.stringify(json));

describe('an SAE whose path says nothing', () => {
  it('asks for what is missing, and takes it from loupe.json', async () => {
    const npz = await copied(
      'gemma-scope-2b-pt-res/layer_5/width_16k/average_l0_71/params.npz',
      'a/b.npz',
    );
    await assert.rejects(
      readDictionary(npz),
      failure('unsupported', 'which hook', 'loupe.json', '"hook"'),
    );
    await tell(join(root, 'a/loupe.json'), {
      hook: 'blocks.2.hook_resid_mid',
      model: 'gemma-2-2b',
    });
    const { hook, model, name } = await readDictionary(npz);
    assert.deepEqual([hook, model?.name, name], ['blocks.2.hook_resid_mid', 'gemma-2-2b', 'a/b']);

    const qwen = await copied(
      'SAE-Res-Qwen3-1.7B-Base-W32K-L0_6/layer12.sae.pt',
      'q/layer12.sae.pt',
    );
    await assert.rejects(
      readDictionary(qwen),
      failure('unsupported', 'how many features', '"k": 50'),
    );
    await tell(join(root, 'q/loupe.json'), { k: 5 });
    const told = await readDictionary(qwen);
    assert.deepEqual(
      [told.rule, told.hook],
      [{ kind: 'topk', maxK: 5 }, 'blocks.12.hook_resid_post'],
    );
    await tell(join(root, 'q/layer12.sae.pt.loupe.json'), { k: 4, centred: true });
    const own = await readDictionary(qwen);
    assert.deepEqual([own.rule, own.centred], [{ kind: 'topk', maxK: 4 }, true]);
    await tell(join(root, 'q/layer12.sae.pt.loupe.json'), { k: 41 });
    await assert.rejects(readDictionary(qwen), failure('bad-file', '41', '40'));

    const openai = await copied('gpt2-small/mlp_post_act/autoencoders/8.pt', 'o/8.pt');
    await assert.rejects(readDictionary(openai), failure('unsupported', 'which hook'));
    const module = await copied('sparsify/topk/layers.3', 's/unnamed');
    await assert.rejects(readDictionary(module), failure('unsupported', 'which module'));
  });

  it('refuses a loupe.json that makes no sense', async () => {
    const file = await copied(
      'SAE-Res-Qwen3-1.7B-Base-W32K-L0_6/layer12.sae.pt',
      'r/layer1.sae.pt',
    );
    for (const [json, says] of [
      ['{', 'not JSON'],
      ['{"k": 0}', '"k": 0'],
      ['{"hook": "blocks.1.attn.hook_pattern"}', 'hook_pattern'],
      ['{"centred": 1}', '"centred": 1'],
      ['{"inputScale": -1}', '"inputScale": -1'],
    ] as const) {
      await writeFile(join(root, 'r/loupe.json'), json);
      await assert.rejects(readDictionary(file), (error: unknown) => {
        assert.ok(error instanceof Failure && error.message.includes(says), String(error));
        return true;
      });
    }
  });
});

describe('an SAE that says something else than is told', () => {
  it('is what is told', async () => {
    const folder = await copied('saelens/transcoder', 'told');
    const cfg = JSON.parse(await readFile(join(folder, 'cfg.json'), 'utf8')) as {
      metadata: object;
    };
    const metadata = {
      ...cfg.metadata,
      hook_name: 'blocks.3.hook_unknown',
      hook_name_out: undefined,
    };
    await tell(join(folder, 'cfg.json'), { ...cfg, metadata });
    await assert.rejects(readDictionary(folder), failure('unsupported', 'hook_unknown'));
    const told = { hook: 'blocks.1.hook_in', hookOut: 'blocks.1.hook_mlp_out', model: 'm' };
    await tell(join(folder, 'loupe.json'), told);
    const { hook, output, model } = await readDictionary(folder);
    assert.deepEqual(
      [hook, output, model],
      [
        'blocks.1.hook_resid_pre',
        { hook: 'blocks.1.hook_mlp_out', width: 9 },
        { name: 'm', hash: undefined },
      ],
    );
  });
});

describe('what is no SAE that Loupe reads', () => {
  it('is said: a folder of nothing, of several, an encoder alone, another kind', async () => {
    await mkdir(join(root, 'empty'));
    await assert.rejects(
      readDictionary(join(root, 'empty')),
      failure('not-found', 'no SAE', 'SAELens'),
    );
    await copied('gpt2-small/mlp_post_act/autoencoders/8.pt', 'many/mlp_post_act/1.pt');
    const one = await copied('gpt2-small/mlp_post_act/autoencoders/8.pt', 'many/mlp_post_act/2.pt');
    await assert.rejects(
      readDictionary(dirname(one)),
      failure('not-found', '2 .pt files', 'choose one'),
    );
    assert.equal((await readDictionary(one)).hook, 'blocks.2.mlp.hook_post');

    const change = async (path: string, file: string, fields: object): Promise<string> => {
      const folder = await copied(path, `changed/${path}`);
      const json = JSON.parse(await readFile(join(folder, file), 'utf8')) as object;
      await tell(join(folder, file), { ...json, ...fields });
      return folder;
    };
    const clt = await change('llamascopium/jumprelu', 'config.json', { sae_type: 'clt' });
    await assert.rejects(readDictionary(clt), failure('unsupported', '"clt"'));
    const batch = await change('llamascopium/jumprelu', 'config.json', { act_fn: 'batchtopk' });
    await assert.rejects(readDictionary(batch), failure('unsupported', 'batchtopk'));
    const signed = await change('sparsify/topk/layers.3', 'cfg.json', { signed: true });
    await assert.rejects(readDictionary(signed), failure('unsupported', 'signed'));
    const groups = await change('sparsify/groupmax/layers.3', 'cfg.json', { k: 7 });
    await assert.rejects(readDictionary(groups), failure('bad-file', '"k": 7', 'divisor of 40'));
    const class_ = await change('dictionary_learning/AutoEncoder', 'config.json', {
      trainer: { dict_class: 'CrossCoder' },
    });
    await assert.rejects(readDictionary(class_), failure('unsupported', 'CrossCoder'));
    const learned = await copied('dictionary_learning/AutoEncoderTopK/ae.pt', 'lonely/ae.pt');
    await assert.rejects(
      readDictionary(learned),
      failure('unsupported', 'BatchTopKSAE', 'config.json'),
    );
  });
});

describe('names of hooks', () => {
  it('are TransformerLens`, its aliases, and modules of Gemma', () => {
    const names = {
      hook_embed: 'hook_embed',
      'blocks.0.ln2.hook_normalized': 'blocks.0.ln2.hook_normalized',
      'blocks.11.hook_out': 'blocks.11.hook_resid_post',
      'blocks.11.hook_mlp_in': 'blocks.11.hook_resid_mid',
      'blocks.11.attn.hook_pattern': undefined,
      'blocks.01.hook_resid_pre': undefined,
      'blocks.1.constructor': undefined,
      'ln_final.hook_normalized': undefined,
    };
    for (const [name, hook] of Object.entries(names)) assert.equal(hookOfName(name), hook, name);
    assert.equal(hookOfModule('model.layers.3.output'), 'blocks.3.hook_resid_post');
    assert.equal(hookOfModule('model.layers.3.toString'), undefined);
  });

  it('follow sparsify`s modules', () => {
    assert.deepEqual(hooksOfModule('layers.5', false, undefined), {
      hook: 'blocks.5.hook_resid_post',
    });
    assert.deepEqual(hooksOfModule('gpt_neox.layers.5.attention', false, 'p'), {
      hook: 'blocks.5.hook_attn_out',
    });
    assert.deepEqual(hooksOfModule('h.5', true, undefined), {
      hook: 'blocks.5.hook_resid_pre',
      output: 'blocks.5.hook_resid_post',
    });
    assert.equal(hooksOfModule('layers.5.self_attn', true, undefined), undefined);
    assert.equal(hooksOfModule('layers.5.mlp.down_proj', false, undefined), undefined);
    assert.throws(() => hooksOfModule('layers.5.mlp', false, 'google/gemma-2-2b'), {
      code: 'unsupported',
    });
  });
});
