import type { ConfigFields } from '../configFields.ts';
import { llamaShape, windowOf } from '../llamaLike.ts';
import type { Departures, ModelConfig, Rotation } from '../model.ts';
import { plainRotation } from '../rotary.ts';
import { rotationFrom } from '../rotaryScaling.ts';
import type { Architecture } from './architecture.ts';
import { folderNorms, gemmaDepartures, ggufNorms } from './gemma2.ts';
import { llamaGgufTensors, llamaTensors } from './llama.ts';

/**
 * Gemma 3's text model: Gemma 2 with normed queries and keys in place of the cap, five layers with a window for each
 * without, and two rotations. Source: Gemma Team 2025, arXiv 2503.19786, section 2.
 */
export const gemma3: Architecture = {
  label: 'Gemma 3',
  folder: {
    types: ['gemma3_text', 'gemma3'],
    config: (given, name) => folderConfig(textFields(given).withDefaults(defaults), name),
    tensors: (config, has) => llamaTensors(config, has, { norms: folderNorms, ...norms(config) }),
    // In models that see pictures too, which transformers 5 and 4 name differently.
    prefix: 'language_model.',
    ignored: /^(?:model\.)?(?:vision_tower|multi_modal_projector)\./,
  },
  gguf: {
    type: 'gemma3',
    config: fields => {
      const shape = fields.shape();
      const { layers, width, heads, headWidth } = shape;
      const local = plainRotation(headWidth, fields.positive('rope.freq_base_swa', 10000));
      const isGlobal = !fields.has('attention.sliding_window');
      const departures: Departures = {
        activation: 'geluTanh',
        embeddingScale: Math.fround(Math.sqrt(width)),
        // The 27 B model's scale, which the file does not say.
        attentionScale: 1 / Math.sqrt(layers === 62 ? width / heads : headWidth),
        ...(!isGlobal && {
          window: { tokens: fields.length('attention.sliding_window'), layers: pattern(layers, 6) },
        }),
        rotations: [fields.rotation(shape), local],
        ...(fields.has('final_logit_softcapping') && {
          logitSoftcap: fields.positive('final_logit_softcapping'),
        }),
      };
      return { ...shape, architecture: 'gemma3', departures };
    },
    // The converter has added the one to the gains.
    tensors: (config, has) =>
      llamaGgufTensors(config, has, false, { norms: ggufNorms, ...norms(config) }),
  },
};

const defaults = {
  hidden_size: 2304,
  intermediate_size: 9216,
  num_hidden_layers: 26,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 256,
  vocab_size: 262208,
  max_position_embeddings: 131072,
  tie_word_embeddings: true,
  query_pre_attn_scalar: 256,
  sliding_window: 4096,
  sliding_window_pattern: 6,
};

/** The configuration of the text model within that of one that sees pictures too. */
function textFields(fields: ConfigFields): ConfigFields {
  return fields.has('text_config') ? fields.object('text_config') : fields;
}

function folderConfig(fields: ConfigFields, name: string): ModelConfig {
  fields.require('use_bidirectional_attention', [false, null]);
  fields.require('attn_logit_softcapping', [null]);
  const { ropeTheta, ...shape } = llamaShape(fields, name);
  const { layers, width } = shape;
  const every = fields.length('sliding_window_pattern', 6);
  const { rotations, contextLength } = rotationsFrom(fields, shape);
  const departures: Departures = {
    norm: 'onePlus',
    ...gemmaDepartures(fields, width),
    ...windowOf(fields, layers, layer => pattern(layers, every)[layer] === true),
    rotations,
  };
  return { ...shape, ropeTheta, contextLength, architecture: 'gemma3', departures };
}

/** Of layers without a window, and of those with one; transformers before 5 named them differently. */
function rotationsFrom(
  fields: ConfigFields,
  { headWidth, contextLength }: Pick<ModelConfig, 'headWidth' | 'contextLength'>,
): { rotations: readonly [Rotation, Rotation]; contextLength: number } {
  const both = fields.object('rope_parameters');
  const isNew = both.has('full_attention');
  const globalRope = isNew ? both.object('full_attention') : fields.object('rope_scaling');
  const theta = isNew ? 1e6 : fields.positive('rope_theta', 1e6);
  const localTheta = fields.positive('rope_local_base_freq', 10000);
  const wide = rotationFrom(globalRope, { headWidth, contextLength, theta });
  const localRope = both.object('sliding_attention');
  const local = rotationFrom(localRope, { headWidth, contextLength, theta: localTheta });
  return { rotations: [wide.rotation, local.rotation], contextLength: wide.contextLength };
}

/** Every so-manieth layer has no window. */
function pattern(layers: number, every: number): boolean[] {
  return Array.from({ length: layers }, (_, layer) => (layer + 1) % every !== 0);
}

function norms({ headWidth }: ModelConfig) {
  return { queryKeyNorm: [headWidth, headWidth] } as const;
}
