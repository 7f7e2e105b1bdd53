import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readSaeLens } from '../../src/saes/formats/saelens.ts';
import { differInFamily, modelFamily } from '../../src/saes/modelFamily.ts';
import { requireFit } from '../../src/saes/requireFit.ts';
import { excludedTokens } from '../../src/saes/tokenPolicy.ts';
import { failure } from '../fixtures/failsWith.ts';

const fixtures = join(import.meta.dirname, '../fixtures/saelens');

describe('an SAE and a model', () => {
  const model = { name: 'another-model', hash: 'beef', width: 12, layers: 4 };

  it('fit by width, layer and name', async () => {
    const dictionary = await readSaeLens(join(fixtures, 'topk'));
    requireFit(dictionary, model); // SAELens does not say of which weights it is
    const hashed = { ...dictionary, model: { name: 'a-model', hash: 'cafe' } };
    requireFit(hashed, { ...model, hash: 'cafe' });
    requireFit(hashed, { ...model, name: 'a-model' });
    const both = (...parts: string[]) => failure('mismatch', 'topk', 'another-model', ...parts);
    assert.throws(() => requireFit(dictionary, { ...model, width: 576 }), both('width 12', '576'));
    assert.throws(
      () => requireFit(dictionary, { ...model, layers: 3 }),
      both('blocks.3.', 'last layer is 2'),
    );
    assert.throws(() => requireFit(hashed, model), both('trained on a-model'));
    const provenance = { ...dictionary.provenance, tokenizer_sha256: 'cafe' };
    requireFit({ ...dictionary, provenance }, { ...model, tokenizer: 'cafe' });
    assert.throws(
      () => requireFit({ ...dictionary, provenance }, { ...model, tokenizer: 'beef' }),
      both('ids of another tokenizer'),
    );
    const trained = { ...dictionary, model: { name: 'gpt2-small', hash: undefined } };
    requireFit(trained, { ...model, name: 'openai-community/gpt2' });
    requireFit(trained, { ...model, name: 'mine' });
    assert.throws(
      () => requireFit(trained, { ...model, name: 'pythia-160m' }),
      failure('mismatch', 'trained on gpt2-small, which is another model'),
    );
    const atZ = { ...dictionary, hook: 'blocks.3.attn.hook_z' } as const;
    const widthAt = (hook: string): number => (hook.endsWith('hook_z') ? 16 : 12);
    requireFit(dictionary, { ...model, widthAt });
    assert.throws(
      () => requireFit(atZ, { ...model, widthAt }),
      both('width 12', 'blocks.3.attn.hook_z are 16'),
    );
    const output = { hook: 'blocks.5.hook_mlp_out', width: 12 } as const;
    assert.throws(
      () => requireFit({ ...dictionary, output }, model),
      both('reconstructs blocks.5.', 'last layer is 3'),
    );
    const other = { ...dictionary, provenance: { vocabulary_size: 99 } };
    assert.throws(() => requireFit(other, { ...model, vocabulary: 98 }), both('99 tokens', '98'));
  });
});

describe('names of models', () => {
  it('tell families and versions apart, and sizes from versions', () => {
    const families: Record<string, [string, string | undefined] | undefined> = {
      'meta-llama/Llama-3.1-8B': ['llama', '3'],
      'Llama3_1-8B-Base': ['llama', '3'],
      'deepseek-ai/DeepSeek-R1-Distill-Llama-8B': ['llama', undefined],
      'gemma-2-2b': ['gemma', '2'],
      'google/gemma-2b-it': ['gemma', undefined],
      'google/gemma-v3-1b-pt': ['gemma', '3'],
      'Qwen/Qwen3-1.7B-Base': ['qwen', '3'],
      'Qwen2.5-7B': ['qwen', '2'],
      'SmolLM2-135M-Instruct': ['smollm', '2'],
      'gpt2-small': ['gpt2', undefined],
      'EleutherAI/pythia-70m-deduped': ['pythia', undefined],
      'a-model': undefined,
      'tinystories-llama': undefined,
    };
    for (const [name, expected] of Object.entries(families)) {
      const found = modelFamily(name);
      assert.deepEqual(found && [found.family, found.version], expected, name);
    }
    assert.ok(differInFamily('Llama-2-7b', 'Llama-3.1-8B'));
    assert.ok(!differInFamily('Llama-3-8B', 'Llama 3.1 8B Instruct'));
    assert.ok(!differInFamily('DeepSeek-R1-Distill-Llama-8B', 'Llama-3.1-8B'));
  });
});

describe('the token policy', () => {
  it('leaves out the first token of a window, outliers and NaN', () => {
    const x = Float32Array.of(1, 0, 3, 4, 6, 8, NaN, 0); // norms 1, 5, 10, NaN
    const policy = { excludeFirst: true, maxNorm: 5 };
    assert.deepEqual([...excludedTokens(x, 2, true, policy)], [1, 0, 1, 1]);
    assert.deepEqual([...excludedTokens(x, 2, false, policy)], [0, 0, 1, 1]);
    assert.deepEqual(
      [...excludedTokens(x, 2, true, { excludeFirst: false, maxNorm: Infinity })],
      [0, 0, 0, 1],
    );
    assert.equal(excludedTokens(new Float32Array(0), 2, true, policy).length, 0);
  });
});
