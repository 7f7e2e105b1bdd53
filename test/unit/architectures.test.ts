import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { check, plain, read } from './publishedModel.ts';

describe('config.json of a published model', () => {
  const llama3 = {
    architectures: ['LlamaForCausalLM'],
    attention_bias: false,
    attention_dropout: 0.0,
    bos_token_id: 128000,
    eos_token_id: 128001,
    head_dim: 64,
    hidden_act: 'silu',
    hidden_size: 2048,
    initializer_range: 0.02,
    intermediate_size: 8192,
    max_position_embeddings: 131072,
    mlp_bias: false,
    model_type: 'llama',
    num_attention_heads: 32,
    num_hidden_layers: 16,
    num_key_value_heads: 8,
    pretraining_tp: 1,
    rms_norm_eps: 1e-5,
    rope_scaling: {
      factor: 32.0,
      high_freq_factor: 4.0,
      low_freq_factor: 1.0,
      original_max_position_embeddings: 8192,
      rope_type: 'llama3',
    },
    rope_theta: 500000.0,
    tie_word_embeddings: true,
    torch_dtype: 'bfloat16',
    transformers_version: '4.45.0.dev0',
    use_cache: true,
    vocab_size: 128256,
  };

  it('Llama-3.2-1B', () => {
    // Fast pairs as they were, slow ones 32 times slower.
    const [, second, last] = plain(64, 500000);
    check(llama3, {
      shape: [16, 2048, 8192, 32, 8, 64, 128256, 131072],
      epsilon: 1e-5,
      tied: true,
      turns: [[64, second, last / 32, 1]],
    });
  });

  it('Llama-2-7b, whose first file has neither head_dim nor rope_theta', () => {
    check(
      {
        ...{ model_type: 'llama', hidden_act: 'silu', hidden_size: 4096, intermediate_size: 11008 },
        ...{ max_position_embeddings: 4096, num_attention_heads: 32, num_hidden_layers: 32 },
        ...{ num_key_value_heads: 32, pretraining_tp: 1, rms_norm_eps: 1e-5, rope_scaling: null },
        ...{ tie_word_embeddings: false, torch_dtype: 'float16', vocab_size: 32000 },
      },
      {
        shape: [32, 4096, 11008, 32, 32, 128, 32000, 4096],
        epsilon: 1e-5,
        tied: false,
        turns: [plain(128, 10000)],
      },
    );
  });

  const mistral = {
    ...{
      architectures: ['MistralForCausalLM'],
      bos_token_id: 1,
      eos_token_id: 2,
      hidden_act: 'silu',
    },
    ...{ hidden_size: 4096, intermediate_size: 14336, max_position_embeddings: 32768 },
    ...{ model_type: 'mistral', num_attention_heads: 32, num_hidden_layers: 32 },
    ...{ num_key_value_heads: 8, rms_norm_eps: 1e-5, tie_word_embeddings: false },
  };

  it('Mistral-7B-v0.1, every layer with a window', () => {
    check(
      { ...mistral, rope_theta: 10000.0, sliding_window: 4096, vocab_size: 32000 },
      {
        shape: [32, 4096, 14336, 32, 8, 128, 32000, 32768],
        epsilon: 1e-5,
        tied: false,
        turns: [plain(128, 10000)],
        window: [4096, []],
      },
    );
  });

  it('Mistral-7B-v0.3, whose window is null', () => {
    check(
      {
        ...mistral,
        head_dim: null,
        rope_theta: 1000000.0,
        sliding_window: null,
        vocab_size: 32768,
      },
      {
        shape: [32, 4096, 14336, 32, 8, 128, 32768, 32768],
        epsilon: 1e-5,
        tied: false,
        turns: [plain(128, 1e6)],
      },
    );
  });

  it('Qwen2.5-0.5B, with a window that is not used', () => {
    check(
      {
        ...{ architectures: ['Qwen2ForCausalLM'], attention_dropout: 0.0, hidden_act: 'silu' },
        ...{ hidden_size: 896, intermediate_size: 4864, max_position_embeddings: 32768 },
        ...{ max_window_layers: 24, model_type: 'qwen2', num_attention_heads: 14 },
        ...{ num_hidden_layers: 24, num_key_value_heads: 2, rms_norm_eps: 1e-6 },
        ...{ rope_theta: 1000000.0, sliding_window: 32768, tie_word_embeddings: true },
        ...{ use_mrope: false, use_sliding_window: false, vocab_size: 151936 },
      },
      {
        shape: [24, 896, 4864, 14, 2, 64, 151936, 32768],
        epsilon: 1e-6,
        tied: true,
        turns: [plain(64, 1e6)],
      },
    );
  });

  const qwen3 = {
    ...{ architectures: ['Qwen3ForCausalLM'], attention_bias: false, head_dim: 128 },
    ...{ hidden_act: 'silu', hidden_size: 1024, intermediate_size: 3072, max_window_layers: 28 },
    ...{ max_position_embeddings: 40960, model_type: 'qwen3', num_attention_heads: 16 },
    ...{ num_hidden_layers: 28, num_key_value_heads: 8, rms_norm_eps: 1e-6, rope_scaling: null },
    ...{ rope_theta: 1000000, sliding_window: null, tie_word_embeddings: true },
    ...{ use_sliding_window: false, vocab_size: 151936 },
  };

  it('Qwen3-0.6B, whose heads are wider than its state', () => {
    check(qwen3, {
      shape: [28, 1024, 3072, 16, 8, 128, 151936, 40960],
      epsilon: 1e-6,
      tied: true,
      turns: [plain(128, 1e6)],
    });
  });

  it('of Qwen with a window from the first layer on, or in the layers that are named', () => {
    const windowed = {
      ...qwen3,
      num_hidden_layers: 4,
      use_sliding_window: true,
      sliding_window: 9,
    };
    assert.deepEqual(read({ ...windowed, max_window_layers: 0 }).departures?.window, {
      tokens: 9,
      layers: [true, true, true, true],
    });
    const layer_types = [
      'sliding_attention',
      'full_attention',
      'full_attention',
      'sliding_attention',
    ];
    assert.deepEqual(read({ ...windowed, layer_types }).departures?.window, {
      tokens: 9,
      layers: [true, false, false, true],
    });
  });
});
