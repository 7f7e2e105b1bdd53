import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rotationIndex } from '../../src/models/rotary.ts';
import { check, every, plain, read, type Expected } from './publishedModel.ts';

describe('config.json of a published model', () => {
  it('gemma-2-2b', () => {
    check(
      {
        ...{ architectures: ['Gemma2ForCausalLM'], attention_bias: false },
        ...{ attn_logit_softcapping: 50.0, cache_implementation: 'hybrid' },
        ...{ final_logit_softcapping: 30.0, head_dim: 256, hidden_act: 'gelu_pytorch_tanh' },
        ...{ hidden_activation: 'gelu_pytorch_tanh', hidden_size: 2304, intermediate_size: 9216 },
        ...{ max_position_embeddings: 8192, model_type: 'gemma2', num_attention_heads: 8 },
        ...{ num_hidden_layers: 26, num_key_value_heads: 4, query_pre_attn_scalar: 256 },
        ...{ rms_norm_eps: 1e-6, rope_theta: 10000.0, sliding_window: 4096, vocab_size: 256000 },
      },
      {
        shape: [26, 2304, 9216, 8, 4, 256, 256000, 8192],
        epsilon: 1e-6,
        tied: true,
        turns: [plain(256, 10000)],
        window: [4096, every(2, 26)],
        others: {
          ...{
            norm: 'onePlus',
            activation: 'geluTanh',
            embeddingScale: 48,
            attentionScale: 1 / 16,
          },
          ...{ attentionSoftcap: 50, logitSoftcap: 30 },
        },
      },
    );
  });

  const gemma3 = {
    norm: 'onePlus',
    activation: 'geluTanh',
    attentionScale: 1 / 16,
  } as const;

  it('gemma-3-1b-pt', () => {
    check(
      {
        ...{ architectures: ['Gemma3ForCausalLM'], attention_bias: false },
        ...{ attn_logit_softcapping: null, cache_implementation: 'hybrid' },
        ...{ final_logit_softcapping: null, head_dim: 256, hidden_size: 1152 },
        ...{ hidden_activation: 'gelu_pytorch_tanh', intermediate_size: 6912 },
        ...{ max_position_embeddings: 32768, model_type: 'gemma3_text', num_attention_heads: 4 },
        ...{ num_hidden_layers: 26, num_key_value_heads: 1, query_pre_attn_scalar: 256 },
        ...{ rms_norm_eps: 1e-6, rope_local_base_freq: 10000, rope_scaling: null },
        ...{ rope_theta: 1000000, sliding_window: 512, sliding_window_pattern: 6 },
        ...{ vocab_size: 262144 },
      },
      {
        shape: [26, 1152, 6912, 4, 1, 256, 262144, 32768],
        epsilon: 1e-6,
        tied: true,
        turns: [plain(256, 1e6), plain(256, 10000)],
        window: [512, every(6, 26)],
        others: { ...gemma3, embeddingScale: Math.fround(Math.sqrt(1152)) },
      },
    );
  });

  it('gemma-3-270m, whose layers are named and whose pattern has another key', () => {
    const layers = Array.from({ length: 18 }, (_, i) => (i % 6 === 5 ? 'full' : 'sliding'));
    check(
      {
        ...{ _sliding_window_pattern: 6, attn_logit_softcapping: null },
        ...{ final_logit_softcapping: null, head_dim: 256, hidden_size: 640 },
        ...{ hidden_activation: 'gelu_pytorch_tanh', intermediate_size: 2048 },
        ...{ layer_types: layers.map(each => `${each}_attention`), model_type: 'gemma3_text' },
        ...{ max_position_embeddings: 32768, num_attention_heads: 4, num_hidden_layers: 18 },
        ...{ num_key_value_heads: 1, query_pre_attn_scalar: 256, rms_norm_eps: 1e-6 },
        ...{ rope_local_base_freq: 10000.0, rope_scaling: null, rope_theta: 1000000.0 },
        ...{ sliding_window: 512, use_bidirectional_attention: false, vocab_size: 262144 },
      },
      {
        shape: [18, 640, 2048, 4, 1, 256, 262144, 32768],
        epsilon: 1e-6,
        tied: true,
        turns: [plain(256, 1e6), plain(256, 10000)],
        window: [512, every(6, 18)],
        others: { ...gemma3, embeddingScale: Math.fround(Math.sqrt(640)) },
      },
    );
  });

  it('gemma-3-4b-pt, which says little of its text model', () => {
    check(
      {
        ...{ architectures: ['Gemma3ForConditionalGeneration'], boi_token_index: 255999 },
        ...{ eoi_token_index: 256000, image_token_index: 262144, mm_tokens_per_image: 256 },
        ...{ model_type: 'gemma3', initializer_range: 0.02 },
        text_config: {
          ...{ hidden_size: 2560, intermediate_size: 10240, model_type: 'gemma3_text' },
          ...{ num_hidden_layers: 34, rope_scaling: { factor: 8.0, rope_type: 'linear' } },
          ...{ sliding_window: 1024 },
        },
        vision_config: { hidden_size: 1152, model_type: 'siglip_vision_model' },
      },
      {
        shape: [34, 2560, 10240, 8, 4, 256, 262208, 131072],
        epsilon: 1e-6,
        tied: true,
        turns: [plain(256, 1e6, 8), plain(256, 10000)],
        window: [1024, every(6, 34)],
        others: { ...gemma3, embeddingScale: Math.fround(Math.sqrt(2560)) },
      },
    );
    assert.equal(rotationIndex(read({ model_type: 'gemma3_text' }), 5), 0);
    assert.equal(rotationIndex(read({ model_type: 'gemma3_text' }), 4), 1);
  });

  const phi3 = {
    ...{ architectures: ['Phi3ForCausalLM'], attention_bias: false, embd_pdrop: 0.0 },
    ...{ hidden_act: 'silu', hidden_size: 3072, intermediate_size: 8192, model_type: 'phi3' },
    ...{ num_hidden_layers: 32, original_max_position_embeddings: 4096, resid_pdrop: 0.0 },
    ...{ rms_norm_eps: 1e-5, rope_theta: 10000.0 },
  };

  it('Phi-3-mini-4k', () => {
    check(
      {
        ...phi3,
        ...{ max_position_embeddings: 4096, num_attention_heads: 32, num_key_value_heads: 32 },
        ...{ rope_scaling: null, sliding_window: 2047, tie_word_embeddings: false },
        ...{ vocab_size: 32064 },
      },
      {
        shape: [32, 3072, 8192, 32, 32, 96, 32064, 4096],
        epsilon: 1e-5,
        tied: false,
        turns: [plain(96, 10000)],
        window: [2047, []],
      },
    );
  });

  // Beyond the original context other factors hold: Loupe's windows end there.
  const grown = Math.sqrt(1 + Math.log(32) / Math.log(4096));
  const factors = (count: number) => Array.from({ length: count }, (_, i) => 1 + i);

  for (const type of ['longrope', 'su']) {
    it(`Phi-3-mini-128k, whose rotation is called ${type}`, () => {
      const [, second, last] = plain(96, 10000);
      check(
        {
          ...phi3,
          ...{ max_position_embeddings: 131072, num_attention_heads: 32, num_key_value_heads: 32 },
          ...{ sliding_window: 262144, tie_word_embeddings: false, vocab_size: 32064 },
          rope_scaling: { long_factor: factors(48), short_factor: factors(48), type },
        },
        {
          shape: [32, 3072, 8192, 32, 32, 96, 32064, 4096],
          epsilon: 1e-5,
          tied: false,
          turns: [[96, second / 2, last / 48, grown]],
          window: [262144, []],
        },
      );
    });
  }

  it('Phi-4-mini, which turns three quarters of each head', () => {
    const [, second, last] = plain(96, 10000);
    check(
      {
        ...phi3,
        ...{ full_attn_mod: 1, interpolate_factor: 1, lm_head_bias: false, mlp_bias: false },
        ...{ max_position_embeddings: 131072, num_attention_heads: 24, num_key_value_heads: 8 },
        ...{ partial_rotary_factor: 0.75, sliding_window: 262144, tie_word_embeddings: true },
        ...{ vocab_size: 200064 },
        rope_scaling: { long_factor: factors(48), short_factor: factors(48), type: 'longrope' },
      },
      {
        shape: [32, 3072, 8192, 24, 8, 128, 200064, 4096],
        epsilon: 1e-5,
        tied: true,
        turns: [[96, second / 2, last / 48, grown]],
        window: [262144, []],
      },
    );
  });

  it('OLMo-2-0425-1B', () => {
    check(
      {
        ...{ architectures: ['Olmo2ForCausalLM'], attention_bias: false, hidden_act: 'silu' },
        ...{ hidden_size: 2048, intermediate_size: 8192, max_position_embeddings: 4096 },
        ...{ model_type: 'olmo2', num_attention_heads: 16, num_hidden_layers: 16 },
        ...{ num_key_value_heads: 16, rms_norm_eps: 1e-6, rope_scaling: null },
        ...{ rope_theta: 500000, tie_word_embeddings: false, vocab_size: 100352 },
      },
      {
        shape: [16, 2048, 8192, 16, 16, 128, 100352, 4096],
        epsilon: 1e-6,
        tied: false,
        turns: [plain(128, 500000)],
      },
    );
  });

  it('gpt2 and distilgpt2', () => {
    const gpt2 = {
      ...{ activation_function: 'gelu_new', architectures: ['GPT2LMHeadModel'] },
      ...{ attn_pdrop: 0.1, bos_token_id: 50256, embd_pdrop: 0.1, initializer_range: 0.02 },
      ...{ layer_norm_epsilon: 1e-5, model_type: 'gpt2', n_ctx: 1024, n_embd: 768, n_head: 12 },
      ...{ n_layer: 12, n_positions: 1024, resid_pdrop: 0.1, summary_type: 'cls_index' },
      ...{ task_specific_params: { 'text-generation': { do_sample: true } }, vocab_size: 50257 },
    };
    const expected = (layers: number): Expected => ({
      shape: [layers, 768, 3072, 12, 12, 64, 50257, 1024],
      epsilon: 1e-5,
      tied: true,
      turns: [],
      others: {
        ...{ norm: 'layer', learnedPositions: true, activation: 'geluTanh' },
        layout: { transposed: true, packed: 'parts' },
      },
    });
    check(gpt2, expected(12));
    check({ ...gpt2, _num_labels: 1, n_layer: 6 }, expected(6));
  });

  it('pythia-70m', () => {
    check(
      {
        ...{ architectures: ['GPTNeoXForCausalLM'], bos_token_id: 0, eos_token_id: 0 },
        ...{ hidden_act: 'gelu', hidden_size: 512, initializer_range: 0.02 },
        ...{ intermediate_size: 2048, layer_norm_eps: 1e-5, max_position_embeddings: 2048 },
        ...{ model_type: 'gpt_neox', num_attention_heads: 8, num_hidden_layers: 6 },
        ...{ rotary_emb_base: 10000, rotary_pct: 0.25, tie_word_embeddings: false },
        ...{ torch_dtype: 'float16', use_parallel_residual: true, vocab_size: 50304 },
      },
      {
        shape: [6, 512, 2048, 8, 8, 64, 50304, 2048],
        epsilon: 1e-5,
        tied: false,
        turns: [plain(16, 10000)],
        others: { norm: 'layer', activation: 'gelu', parallel: true, layout: { packed: 'heads' } },
      },
    );
  });
});
