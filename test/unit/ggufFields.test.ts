import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import { architectures } from '../../src/models/architectures/all.ts';
import { GgufFields } from '../../src/models/ggufFields.ts';
import type { ModelConfig } from '../../src/models/model.ts';
import { rotationsOf } from '../../src/models/rotary.ts';
import type { GgufFile, GgufTensor, MetadataValue } from '../../src/weights/gguf.ts';
import { blockTypes } from '../../src/weights/ggufBlocks.ts';

/*
 * The metadata of files that Ollama and LM Studio hand out. What is expected is what llama.cpp and, of Gemma 3's older
 * files, Ollama make of it.
 */

type Metadata = Readonly<Record<string, MetadataValue>>;

/** A file that has of its tensors only the embedding. */
function file(architecture: string, metadata: Metadata, vocabulary: number): GgufFile {
  const type = blockTypes.get(0) ?? assert.fail();
  const name = 'token_embd.weight';
  const embedding: GgufTensor = { name, type, shape: [vocabulary, 8], offset: 0, byteLength: 0 };
  const own = Object.entries(metadata).map(
    ([key, value]) => [`${architecture}.${key}`, value] as const,
  );
  return {
    ...{ path: 'a.gguf', size: 0, version: 3 },
    metadata: new Map<string, MetadataValue>([['general.architecture', architecture], ...own]),
    tensors: new Map([[name, embedding]]),
  };
}

function read(architecture: string, metadata: Metadata, vocabulary = 100): ModelConfig {
  const found = architectures.find(({ gguf }) => gguf.type === architecture) ?? assert.fail();
  return found.gguf.config(new GgufFields(file(architecture, metadata, vocabulary)));
}

/** The second frequency of each rotation. */
function second(config: ModelConfig): (number | undefined)[] {
  return rotationsOf(config).map(({ frequencies }) => frequencies[1]);
}

const plain = (width: number, theta: number, factor = 1) =>
  Math.fround(Math.fround(theta ** (-2 / width)) / factor);

const llama: Metadata = {
  'attention.head_count': 32,
  'attention.head_count_kv': 8,
  'attention.key_length': 64,
  'attention.layer_norm_rms_epsilon': 1e-5,
  'attention.value_length': 64,
  block_count: 16,
  context_length: 131072,
  embedding_length: 2048,
  feed_forward_length: 8192,
  'rope.dimension_count': 64,
  'rope.freq_base': 500000,
  vocab_size: 128256,
};

describe('The metadata of a GGUF file', () => {
  it('of Llama 3.2 has its vocabulary from the embedding and its name from the architecture', () => {
    const config = read('llama', llama, 128256);
    assert.equal(config.vocabulary, 128256);
    assert.equal(config.name, 'llama');
    assert.equal(config.tiedEmbedding, true);
    assert.deepEqual(second(config), [plain(64, 500000)]);
  });

  it('has experts, scaling and factors that do nothing', () => {
    for (const more of [
      { expert_count: 0, expert_used_count: 0 },
      { 'rope.scaling.type': 'none', 'rope.scaling.factor': 4 },
      { 'rope.scaling.type': 'linear', 'rope.scaling.factor': 0 },
      { 'rope.scaling.type': 'linear', 'rope.scaling.factor': 1 },
      { 'rope.scaling.finetuned': false },
    ]) {
      assert.deepEqual(read('llama', { ...llama, ...more }), read('llama', llama));
    }
  });

  it('slows the rotation by a factor that has no type, or its older name', () => {
    for (const more of [
      { 'rope.scaling.type': 'linear', 'rope.scaling.factor': 4 },
      { 'rope.scaling.factor': 4 },
      { 'rope.scale_linear': 4 },
    ]) {
      assert.deepEqual(second(read('llama', { ...llama, ...more })), [plain(64, 500000, 4)]);
    }
    assert.throws(
      () => read('llama', { ...llama, 'rope.scaling.type': 'yarn', 'rope.scaling.factor': 4 }),
      error => Failure.is(error, 'unsupported') && error.message.includes('yarn'),
    );
    assert.throws(
      () => read('llama', { ...llama, expert_count: 8 }),
      error => Failure.is(error, 'unsupported'),
    );
  });

  const gemma3: Metadata = {
    'attention.head_count': 4,
    'attention.head_count_kv': 1,
    'attention.key_length': 256,
    'attention.layer_norm_rms_epsilon': 1e-6,
    'attention.sliding_window': 512,
    'attention.value_length': 256,
    block_count: 26,
    context_length: 32768,
    embedding_length: 1152,
    feed_forward_length: 6912,
  };
  const globals = (layers: number) =>
    Array.from({ length: layers }, (_, layer) => (layer + 1) % 6 !== 0);

  it("of Ollama's Gemma 3 1B means the same as llama.cpp's", () => {
    const converted = read('gemma3', { ...gemma3, 'rope.freq_base': 1e6 });
    assert.deepEqual(second(converted), [plain(256, 1e6), plain(256, 10000)]);
    assert.deepEqual(converted.departures?.window, { tokens: 512, layers: globals(26) });
    assert.equal(converted.departures.logitSoftcap, undefined);
    const ollama = {
      ...gemma3,
      final_logit_softcapping: 30,
      'rope.global.freq_base': 1e6,
      'rope.local.freq_base': 10000,
    };
    assert.deepEqual(read('gemma3', ollama), converted);
  });

  it("of Ollama's Gemma 3 4B, which says less, means the same as llama.cpp's", () => {
    const large: Metadata = {
      'attention.head_count': 8,
      'attention.head_count_kv': 4,
      'attention.sliding_window': 1024,
      block_count: 34,
      embedding_length: 2560,
      feed_forward_length: 10240,
    };
    const converted = read('gemma3', {
      ...{ ...gemma3, ...large, context_length: 131072 },
      ...{ 'rope.freq_base': 1e6, 'rope.scaling.factor': 8, 'rope.scaling.type': 'linear' },
    });
    assert.deepEqual(second(converted), [plain(256, 1e6, 8), plain(256, 10000)]);
    const pictures = { 'mm.tokens_per_image': 256, 'vision.block_count': 27 };
    assert.deepEqual(read('gemma3', { ...large, ...pictures }), converted);
    const { ignored } = architectures.find(({ gguf }) => gguf.type === 'gemma3')?.gguf ?? {};
    for (const name of ['v.blk.0.attn_k.weight', 'mm.mm_input_projection.weight'])
      assert.ok(ignored?.test(name));
    assert.equal(ignored?.test('blk.0.attn_v.weight'), false);
  });

  it('names the layers that have a window, or how many stand between those that have none', () => {
    const few = { ...gemma3, block_count: 4, 'rope.freq_base': 1e6 };
    const layersOf = (pattern: MetadataValue) =>
      read('gemma3', { ...few, 'attention.sliding_window_pattern': pattern }).departures?.window
        ?.layers;
    assert.deepEqual(layersOf([true, false, false, true]), [true, false, false, true]);
    assert.deepEqual(layersOf(2), [true, false, true, false]);
    for (const pattern of [[true], [1, 0, 1, 0], 0, 'all']) {
      assert.throws(
        () => layersOf(pattern),
        error => Failure.is(error, 'bad-file'),
      );
    }
    const without = read('gemma3', { ...few, 'attention.sliding_window': 0 });
    assert.equal(without.departures?.window, undefined);
  });

  it('of Gemma 2 has what its first files left out', () => {
    const { departures } = read('gemma2', { ...llama, block_count: 3 });
    const { window, attentionSoftcap, logitSoftcap } = departures ?? {};
    assert.deepEqual(window, { tokens: 4096, layers: [true, false, true] });
    assert.deepEqual([attentionSoftcap, logitSoftcap], [50, 30]);
  });

  it('of Phi-3 has a window that is none where it is 0', () => {
    const phi3 = { ...llama, block_count: 2 };
    assert.equal(read('phi3', { ...phi3, 'attention.sliding_window': 0 }).departures, undefined);
    assert.deepEqual(
      read('phi3', { ...phi3, 'attention.sliding_window': 2047 }).departures?.window,
      {
        tokens: 2047,
        layers: [true, true],
      },
    );
  });

  it('of GPT-NeoX, Qwen and OLMo is read with the keys that their files have', () => {
    const { 'attention.layer_norm_rms_epsilon': epsilon = 0, ...shape } = llama;
    const neox = { ...shape, 'attention.layer_norm_epsilon': epsilon, 'rope.dimension_count': 16 };
    const config = read('gptneox', { ...neox, use_parallel_residual: true });
    assert.deepEqual(second(config), [plain(16, 500000)]);
    assert.equal(config.departures?.parallel, true);
    for (const type of ['qwen2', 'qwen3', 'olmo2'])
      assert.equal(read(type, llama).departures, undefined);
  });
});
