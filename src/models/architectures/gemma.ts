import { activationOf } from '../llamaLike.ts';
import type { ConfigFields } from '../configFields.ts';
import type { GgufFields } from '../ggufFields.ts';
import type { Departures, ModelConfig } from '../model.ts';

/* What Gemma 2 and 3 have in common. */

/** Of transformers' classes, whose files leave out what is the same. */
export const gemmaDefaults = {
  hidden_size: 2304,
  intermediate_size: 9216,
  num_hidden_layers: 26,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 256,
  tie_word_embeddings: true,
  sliding_window: 4096,
};

/** What a config.json says of a Gemma of that width, but for its windows and rotations. */
export function gemmaDepartures(fields: ConfigFields, width: number): Departures {
  return {
    norm: 'onePlus',
    ...activationOf(fields, 'hidden_activation', 'gelu_pytorch_tanh'),
    embeddingScale: Math.fround(Math.sqrt(width)),
    attentionScale: fields.positive('query_pre_attn_scalar', 256) ** -0.5,
    ...cap(fields, 'attn_logit_softcapping', 'attentionSoftcap'),
    ...cap(fields, 'final_logit_softcapping', 'logitSoftcap'),
  };
}

/**
 * The same of a GGUF file, whose converter has added the one to the gains. `largest`: the layers of the 27 B model, which
 * scales the attention otherwise; the file does not say so.
 */
export function gemmaGgufDepartures(
  fields: GgufFields,
  { layers, width, heads, headWidth }: Omit<ModelConfig, 'architecture'>,
  largest: number,
): Departures {
  return {
    activation: 'geluTanh',
    embeddingScale: Math.fround(Math.sqrt(width)),
    attentionScale: 1 / Math.sqrt(layers === largest ? width / heads : headWidth),
    ...cap(fields, 'attn_logit_softcapping', 'attentionSoftcap'),
    ...cap(fields, 'final_logit_softcapping', 'logitSoftcap'),
  };
}

function cap(
  fields: ConfigFields | GgufFields,
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
