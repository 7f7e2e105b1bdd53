import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import type { SaeCard, TensorTable } from '../../src/contracts/lookAt.ts';
import { lookAtModel } from '../../src/engine/model/lookAtModel.ts';
import { lookAtSae } from '../../src/engine/saes/lookAtSae.ts';
import { saeCard } from '../../src/engine/saes/saeCard.ts';
import { saeFit } from '../../src/hub/saeFit.ts';
import { writeSafetensors } from '../../src/weights/safetensors.ts';
import { ggufBytes, tinyLlama } from '../fixtures/tinyGguf.ts';

const [D, F] = [3, 4];
const signal = new AbortController().signal;
let folder = '';
let sae = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-look-'));
  sae = join(folder, 'sae');
  await mkdir(sae);
  const config = {
    architecture: 'jumprelu',
    d_in: D,
    d_sae: F,
    dtype: 'float32',
    apply_b_dec_to_input: false,
    normalize_activations: 'none',
    metadata: { model_name: 'gpt2', hook_name: 'blocks.1.hook_resid_pre', context_size: 64 },
  };
  await writeFile(join(sae, 'cfg.json'), JSON.stringify(config));
  // Rows of W_dec of norm 1, 2, 5, 5; columns of W_enc are the features.
  const decoder = Float32Array.of(1, 0, 0, 0, 2, 0, 3, 4, 0, 0, 3, 4);
  const tensor = (shape: readonly number[], data: Float32Array) =>
    ({ dtype: 'F32', shape, data }) as const;
  await writeSafetensors(join(sae, 'sae_weights.safetensors'), {
    W_enc: tensor(
      [D, F],
      Float32Array.from({ length: D * F }, (_, i) => (i < F ? 1 : 0)),
    ),
    W_dec: tensor([F, D], decoder),
    b_enc: tensor([F], new Float32Array(F)),
    b_dec: tensor([D], new Float32Array(D)),
    threshold: tensor([F], Float32Array.of(0, 0.5, 1, 2.5)),
  });
  await writeSafetensors(join(sae, 'sparsity.safetensors'), {
    sparsity: tensor([F], Float32Array.of(-1, -2, -10, -3)),
  });
});
after(async () => rm(folder, { recursive: true, force: true }));

describe('a look at', () => {
  it('a model reads its shape and no weights', async () => {
    const path = join(folder, 'tiny.gguf');
    await writeFile(path, ggufBytes(tinyLlama()));
    const facts = await lookAtModel(path);
    assert.equal(facts.name, 'tiny');
    assert.equal(facts.architecture, 'llama');
    assert.ok(facts.layers > 0 && facts.width > 0 && facts.vocabulary > 0);
    await writeFile(join(folder, 'broken.gguf'), 'GGUF');
    await assert.rejects(lookAtModel(join(folder, 'broken.gguf')), Failure);
  });

  it('an SAE reads what stands beside its weights, in the words of each format', async () => {
    assert.deepEqual(await lookAtSae(sae), {
      hook: 'blocks.1.hook_resid_pre',
      features: F,
      inputWidth: D,
      kind: 'jumprelu',
      model: 'gpt2',
    });
    const trainer = {
      dict_class: 'AutoEncoderTopK',
      activation_dim: 5,
      dict_size: 7,
      lm_name: 'm',
    };
    const learned = join(folder, 'trainer_0');
    await lay(learned, 'config.json', {
      trainer: { ...trainer, submodule_name: 'resid_post_layer_3' },
    });
    assert.deepEqual(await lookAtSae(learned), {
      hook: 'blocks.3.hook_resid_post',
      features: 7,
      inputWidth: 5,
      kind: 'AutoEncoderTopK',
      model: 'm',
    });
    const sparsify = join(folder, 'layers.10');
    await lay(sparsify, 'cfg.json', { activation: 'topk', d_in: 6, num_latents: 12 });
    const found = await lookAtSae(sparsify);
    assert.deepEqual([found.hook, found.features], ['blocks.10.hook_resid_post', 12]);
    const scope = join(folder, 'google/gemma-scope-2b-pt-res/layer_7/width_16k/average_l0_9');
    await lay(scope, 'notes.json', {});
    assert.equal((await lookAtSae(scope)).hook, 'blocks.7.hook_resid_post');
    await lay(join(folder, 'hostile'), 'cfg.json', { d_in: -1, hook_name: 7, d_sae: 'x' });
    assert.deepEqual(Object.values(await lookAtSae(join(folder, 'hostile'))), Array(5).fill(null));
  });

  it('a whole SAE gives norms, thresholds and density', async () => {
    for (const path of [sae, join(sae, 'sae_weights.safetensors'), join(sae, 'cfg.json')]) {
      const card = (await saeCard(path, signal)) as SaeCard;
      assert.equal(card.kind, 'sae');
      const { decoderNorms, encoderNorms, thresholds, density } = card;
      assert.deepEqual([decoderNorms.min, decoderNorms.mean, decoderNorms.max], [1, 3.25, 5]);
      assert.deepEqual([decoderNorms.counts[0], decoderNorms.counts.at(-1)], [1, 2]);
      assert.deepEqual([encoderNorms.min, encoderNorms.max, encoderNorms.counts[0]], [1, 1, F]);
      assert.deepEqual([thresholds?.mean, thresholds?.left], [1, 0]);
      assert.deepEqual(
        [density?.mean, density?.left, density?.source],
        [-2, 1, 'sparsity.safetensors'],
      );
      assert.deepEqual([card.features, card.inputWidth, card.rule], [F, D, 'jumprelu']);
      assert.ok(card.files.some(({ name }) => name === 'sae_weights.safetensors'));
      assert.ok(card.notes.some(([name, value]) => name === 'context_size' && value === '64'));
    }
  });

  it('another safetensors file gives its tensors, and says why an SAE is not read', async () => {
    const sparsity = (await saeCard(join(sae, 'sparsity.safetensors'), signal)) as TensorTable;
    assert.deepEqual([sparsity.kind, sparsity.tensors.length], ['tensors', 1]);
    const other = join(folder, 'other.safetensors');
    const data = new Float32Array(6);
    await writeSafetensors(other, { 'a.b': { dtype: 'F32', shape: [2, 3], data } });
    const table = (await saeCard(other, signal)) as TensorTable;
    assert.equal(table.obstacle, null);
    assert.deepEqual(table.tensors, [{ name: 'a.b', dtype: 'F32', shape: [2, 3], bytes: 24 }]);
    await lay(folder, 'cfg.json', { architecture: 'standard', d_in: 3 });
    const broken = (await saeCard(other, signal)) as TensorTable;
    assert.match(broken.obstacle ?? '', /d_sae/);
    await assert.rejects(saeCard(join(folder, 'nothing'), signal), Failure);
  });
});

describe('whether an SAE fits a model', () => {
  const model = {
    name: 'org/GPT2',
    architecture: 'gpt2',
    layers: 12,
    width: 768,
    vocabulary: 1,
    contextLength: 1,
  };
  const facts = { hook: 'blocks.3.hook_resid_pre', features: 1, inputWidth: 768, kind: null };

  it('is told by width, layer and name', () => {
    assert.deepEqual(saeFit({ ...facts, model: 'gpt2-small' }, model), { kind: 'fits' });
    assert.equal(saeFit({ ...facts, model: null }, model).kind, 'may');
    assert.equal(saeFit({ ...facts, model: 'pythia' }, model).kind, 'may');
    assert.equal(saeFit({ ...facts, inputWidth: 512 }, model).kind, 'not');
    assert.equal(saeFit({ ...facts, hook: 'blocks.12.hook_resid_pre' }, model).kind, 'not');
    // Queries, keys, values and neurons have widths of their own.
    const within = { ...facts, hook: 'blocks.3.attn.hook_z', inputWidth: 512, model: 'gpt2' };
    assert.equal(saeFit(within, model).kind, 'fits');
    assert.equal(saeFit(facts, undefined).kind, 'may');
  });
});

async function lay(into: string, name: string, content: object): Promise<void> {
  await mkdir(into, { recursive: true });
  await writeFile(join(into, name), JSON.stringify(content));
}
