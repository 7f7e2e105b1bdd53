import { Failure } from '../common/failure.ts';
import type { ConfigFields } from './configFields.ts';
import type { Departures, ModelConfig } from './model.ts';

/** A configuration in the keys of transformers' Llama, which most architectures share; without its rotation. */
export function llamaShape(fields: ConfigFields, name: string): Omit<ModelConfig, 'architecture'> {
  const width = fields.length('hidden_size');
  const heads = fields.length('num_attention_heads');
  const keyValueHeads = fields.length('num_key_value_heads', heads);
  if (heads % keyValueHeads !== 0) {
    throw fields.bad('num_key_value_heads', `a divisor of the ${heads} heads`);
  }
  const headWidth = fields.length('head_dim', Math.max(1, Math.floor(width / heads)));
  if (headWidth % 2 !== 0) {
    throw new Failure('unsupported', `${fields.path}: heads of ${headWidth} values; Loupe runs even numbers.`);
  }
  return {
    name,
    layers: fields.length('num_hidden_layers', undefined, 1024),
    width,
    feedForward: fields.length('intermediate_size'),
    heads,
    keyValueHeads,
    headWidth,
    vocabulary: fields.length('vocab_size', undefined, 1 << 24),
    contextLength: fields.length('max_position_embeddings', undefined, 1 << 24),
    ropeTheta: ropeFields(fields).positive('rope_theta', fields.positive('rope_theta', 10000)),
    normEpsilon: fields.positive('rms_norm_eps', 1e-6),
    tiedEmbedding: fields.flag('tie_word_embeddings', false),
  };
}

/** Where the rotation is described: transformers 5 gathers it under `rope_parameters`. */
export function ropeFields(fields: ConfigFields): ConfigFields {
  return fields.object(fields.has('rope_parameters') ? 'rope_parameters' : 'rope_scaling');
}

/**
 * Layers that see the last `sliding_window` tokens only: those that `layer_types` names, or else those that `isLocal`
 * says. Nothing where no window is set.
 */
export function windowOf(
  fields: ConfigFields,
  layers: number,
  isLocal: (layer: number) => boolean,
): Pick<Departures, 'window'> {
  if (!fields.has('sliding_window')) return {};
  const tokens = fields.length('sliding_window', undefined, 1 << 24);
  const kinds = ['sliding_attention', 'full_attention'] as const;
  const local = fields.has('layer_types')
    ? fields.texts('layer_types', kinds, layers).map(kind => kind === 'sliding_attention')
    : Array.from({ length: layers }, (_, layer) => isLocal(layer));
  return local.some(Boolean) ? { window: { tokens, layers: local } } : {};
}

const activations = {
  silu: undefined,
  swish: undefined,
  gelu: 'gelu',
  gelu_new: 'geluTanh',
  gelu_pytorch_tanh: 'geluTanh',
  gelu_fast: 'geluTanh',
  relu: 'relu',
} as const;

/** The activation function, by the names of transformers. */
export function activationOf(
  fields: ConfigFields,
  key: string,
  otherwise: keyof typeof activations,
): Pick<Departures, 'activation'> {
  const names = Object.keys(activations) as (keyof typeof activations)[];
  const activation = activations[fields.oneOf(key, names, otherwise)];
  return activation ? { activation } : {};
}

/** Refuses what changes the computation and no architecture here knows. */
export function refuseQuantised(fields: ConfigFields): void {
  fields.require('quantization_config', [null]);
}
