import type { ConfigFields } from '../configFields.ts';
import type { GgufFields } from '../ggufFields.ts';
import { activationOf, llamaShape, ropeFields } from '../llamaLike.ts';
import type { Departures, ModelConfig } from '../model.ts';
import { rotationFrom } from '../rotaryScaling.ts';
import type { ExpectedTensor } from '../weightPlan.ts';
import type { Architecture } from './architecture.ts';
import { packedGgufTensors } from './gpt2.ts';
import { TensorList } from './tensorList.ts';

/**
 * LayerNorm, a part of each head rotated, biases, and layers whose two parts read the same state. Source: Black et al.
 * 2022, arXiv 2204.06745; Pythia: Biderman et al. 2023, arXiv 2304.01373.
 */
export const gptNeox: Architecture = {
  label: 'GPT-NeoX',
  folder: {
    types: ['gpt_neox'],
    config: folderConfig,
    tensors: folderTensors,
    ignored: /\.attention\.(?:masked_)?bias$/,
  },
  gguf: {
    type: 'gptneox',
    config: ggufConfig,
    tensors: config => packedGgufTensors(config).expected,
  },
};

const defaults = {
  hidden_size: 6144,
  num_attention_heads: 64,
  num_hidden_layers: 44,
  intermediate_size: 24576,
  vocab_size: 50432,
  max_position_embeddings: 2048,
  layer_norm_eps: 1e-5,
};

function folderConfig(given: ConfigFields, name: string): ModelConfig {
  const fields = given.withDefaults(defaults);
  const shape = llamaShape(fields, name);
  const { headWidth, contextLength } = shape;
  const { rotation } = rotationFrom(ropeFields(fields), {
    headWidth,
    contextLength,
    theta: fields.positive('rotary_emb_base', shape.ropeTheta),
    part: fields.positive('rotary_pct', 0.25),
  });
  return {
    ...shape,
    architecture: 'gpt_neox',
    normEpsilon: fields.positive('layer_norm_eps'),
    departures: {
      norm: 'layer',
      rotations: [rotation],
      ...activationOf(fields, 'hidden_act', 'gelu'),
      ...parallel(fields.flag('use_parallel_residual', true)),
      layout: { packed: 'heads' },
    },
  };
}

function folderTensors(
  config: ModelConfig,
  has: (tensor: string) => boolean,
): readonly ExpectedTensor[] {
  const { width, vocabulary, feedForward } = config;
  const list = new TensorList();
  list.weight('embed', 'gpt_neox.embed_in', [vocabulary, width]);
  for (let layer = 0; layer < config.layers; layer++) {
    const prefix = `gpt_neox.layers.${layer}.`;
    const own = list.layer(layer, prefix);
    const linear = (name: string, tensor: string, shape: readonly [number, number]) => {
      own.weight(name, tensor, shape);
      // `attention_bias: false` leaves those of the attention out.
      if (has(`${prefix}${tensor}.bias`)) own.bias(name, tensor, shape[0]);
    };
    own.layerNorm('attentionNorm', 'input_layernorm', width);
    linear('queryKeyValue', 'attention.query_key_value', [3 * width, width]);
    linear('attentionOut', 'attention.dense', [width, width]);
    own.layerNorm('feedForwardNorm', 'post_attention_layernorm', width);
    linear('up', 'mlp.dense_h_to_4h', [feedForward, width]);
    linear('down', 'mlp.dense_4h_to_h', [width, feedForward]);
  }
  list.layerNorm('finalNorm', 'gpt_neox.final_layer_norm', width);
  if (!config.tiedEmbedding) list.weight('unembed', 'embed_out', [vocabulary, width]);
  return list.expected;
}

function ggufConfig(fields: GgufFields): ModelConfig {
  const shape = fields.shape('attention.layer_norm_epsilon');
  return {
    ...shape,
    architecture: 'gpt_neox',
    departures: {
      norm: 'layer',
      rotations: [fields.rotation(shape)],
      activation: 'gelu',
      ...parallel(fields.flag('use_parallel_residual', true)),
      layout: { packed: 'parts' },
    },
  };
}

function parallel(isParallel: boolean): Departures {
  return isParallel ? { parallel: true } : {};
}
