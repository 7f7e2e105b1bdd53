import type { ConfigFields } from '../configFields.ts';
import type { GgufFields } from '../ggufFields.ts';
import { llamaShape, windowOf } from '../llamaLike.ts';
import type { ModelConfig, Rotation } from '../model.ts';
import { plainRotation } from '../rotary.ts';
import { rotationFrom } from '../rotaryScaling.ts';
import type { Architecture } from './architecture.ts';
import { folderNorms, gemmaDefaults, gemmaDepartures, gemmaGgufDepartures, ggufNorms } from './gemma.ts';
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
    config: ggufConfig,
    tensors: (config, has) => llamaGgufTensors(config, has, false, { norms: ggufNorms, ...norms(config) }),
    // Ollama's files have what sees pictures beside the text model.
    ignored: /^(?:v|mm)\./,
  },
};

const defaults = { ...gemmaDefaults, vocab_size: 262208, max_position_embeddings: 131072 };

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
  const departures = {
    ...gemmaDepartures(fields, width),
    ...windowOf(fields, layers, isLocal(every)),
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
function isLocal(every: number): (layer: number) => boolean {
  return layer => (layer + 1) % every !== 0;
}

function ggufConfig(given: GgufFields): ModelConfig {
  const fields = asConverted(given);
  const shape = fields.shape();
  const local = plainRotation(shape.headWidth, fields.positive('rope.freq_base_swa', 10000));
  const departures = {
    ...gemmaGgufDepartures(fields, shape, 62),
    ...fields.window(shape.layers, isLocal(6)),
    rotations: [fields.rotation(shape), local] as const,
  };
  return { ...shape, architecture: 'gemma3', departures };
}

/**
 * The keys as llama.cpp's converter writes them. Ollama's first converter left most out or named them otherwise, capped the
 * 1 B model's logits, which are not, and did not say that the larger models' rotation is slowed.
 * Source: ollama, model/models/gemma3/model_text.go.
 */
function asConverted(fields: GgufFields): GgufFields {
  const layers = fields.count('block_count');
  const isOllama = fields.has('rope.local.freq_base') || !fields.has('rope.freq_base');
  const known = isOllama && layers === 26 ? fields.without('final_logit_softcapping') : fields;
  return known.withDefaults({
    context_length: 131072,
    'attention.key_length': 256,
    'attention.value_length': 256,
    'attention.layer_norm_rms_epsilon': 1e-6,
    'rope.freq_base': fields.positive('rope.global.freq_base', 1e6),
    'rope.freq_base_swa': fields.positive('rope.local.freq_base', 10000),
    ...(isOllama && [34, 48, 62].includes(layers) && { 'rope.scaling.factor': 8 }),
  });
}

function norms({ headWidth }: ModelConfig) {
  return { queryKeyNorm: [headWidth, headWidth] } as const;
}
