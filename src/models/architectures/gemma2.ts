import { activationOf, windowOf } from '../llamaLike.ts';
import type { ConfigFields } from '../configFields.ts';
import type { Departures } from '../model.ts';
import type { Architecture } from './architecture.ts';
import { llamaConfig, llamaGgufConfig, llamaGgufTensors, llamaTensors } from './llama.ts';

/**
 * A Llama with norms around both parts of a layer, gains of one plus the weight, a window in every second layer, capped
 * scores and logits, a scaled embedding and GELU. Source: Gemma Team 2024, arXiv 2408.00118, section 2.
 */
export const gemma2: Architecture = {
  label: 'Gemma 2',
  folder: {
    types: ['gemma2'],
    config: (given, name) => {
      const fields = given.withDefaults(defaults);
      const layers = fields.length('num_hidden_layers');
      const width = fields.length('hidden_size');
      return llamaConfig(fields, name, 'gemma2', {
        norm: 'onePlus',
        ...gemmaDepartures(fields, width),
        ...windowOf(fields, layers, layer => layer % 2 === 0),
        ...cap(fields, 'attn_logit_softcapping', 'attentionSoftcap'),
      });
    },
    tensors: (config, has) => llamaTensors(config, has, { norms: folderNorms }),
  },
  gguf: {
    type: 'gemma2',
    config: fields => {
      const { layers, width, heads, headWidth } = fields.shape();
      return llamaGgufConfig(fields, 'gemma2', {
        activation: 'geluTanh',
        embeddingScale: Math.fround(Math.sqrt(width)),
        // The 27 B model's scale, which the file does not say.
        attentionScale: 1 / Math.sqrt(layers === 46 ? width / heads : headWidth),
        window: {
          tokens: fields.length('attention.sliding_window', 4096),
          layers: Array.from({ length: layers }, (_, layer) => layer % 2 === 0),
        },
        attentionSoftcap: fields.positive('attn_logit_softcapping', 50),
        logitSoftcap: fields.positive('final_logit_softcapping', 30),
      });
    },
    // The converter has added the one to the gains.
    tensors: (config, has) => llamaGgufTensors(config, has, false, { norms: ggufNorms }),
  },
};

const defaults = {
  hidden_size: 2304,
  intermediate_size: 9216,
  num_hidden_layers: 26,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 256,
  vocab_size: 256000,
  max_position_embeddings: 8192,
  tie_word_embeddings: true,
  query_pre_attn_scalar: 256,
  sliding_window: 4096,
  attn_logit_softcapping: 50,
  final_logit_softcapping: 30,
};

/** What Gemma 2 and 3 have in common. */
export function gemmaDepartures(fields: ConfigFields, width: number): Departures {
  return {
    ...activationOf(fields, 'hidden_activation', 'gelu_pytorch_tanh'),
    embeddingScale: Math.fround(Math.sqrt(width)),
    attentionScale: fields.positive('query_pre_attn_scalar', 256) ** -0.5,
    ...cap(fields, 'final_logit_softcapping', 'logitSoftcap'),
  };
}

function cap(
  fields: ConfigFields,
  key: string,
  name: 'attentionSoftcap' | 'logitSoftcap',
): Departures {
  return fields.has(key) ? { [name]: fields.positive(key) } : {};
}

export const folderNorms = {
  attentionNorm: 'input_layernorm',
  attentionOutNorm: 'post_attention_layernorm',
  feedForwardNorm: 'pre_feedforward_layernorm',
  feedForwardOutNorm: 'post_feedforward_layernorm',
};

export const ggufNorms = {
  attentionNorm: 'attn_norm',
  attentionOutNorm: 'post_attention_norm',
  feedForwardNorm: 'ffn_norm',
  feedForwardOutNorm: 'post_ffw_norm',
};
