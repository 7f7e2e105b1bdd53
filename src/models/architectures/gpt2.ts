import type { ConfigFields } from '../configFields.ts';
import type { GgufFields } from '../ggufFields.ts';
import { activationOf } from '../llamaLike.ts';
import type { ModelConfig } from '../model.ts';
import type { ExpectedTensor } from '../weightPlan.ts';
import type { Architecture } from './architecture.ts';
import { TensorList } from './tensorList.ts';

/**
 * LayerNorm, learned positions, biases everywhere, no gate. Source: Radford et al. 2019; transformers,
 * models/gpt2/modeling_gpt2.py, whose Conv1D holds its matrices (inputs, outputs).
 */
export const gpt2: Architecture = {
  label: 'GPT-2',
  folder: {
    types: ['gpt2'],
    config: folderConfig,
    tensors: folderTensors,
    prefix: 'transformer.',
    ignored: /\.attn\.(?:masked_)?bias$/,
  },
  gguf: { type: 'gpt2', config: ggufConfig, tensors: ggufTensors },
};

const defaults = {
  n_embd: 768,
  n_head: 12,
  n_layer: 12,
  n_positions: 1024,
  vocab_size: 50257,
  tie_word_embeddings: true,
};

function folderConfig(given: ConfigFields, name: string): ModelConfig {
  const fields = given.withDefaults(defaults);
  fields.require('add_cross_attention', [false, null]);
  const width = fields.length('n_embd');
  const heads = fields.length('n_head');
  if (width % heads !== 0) throw fields.bad('n_head', `a divisor of the width ${width}`);
  const headWidth = width / heads;
  return {
    architecture: 'gpt2',
    name,
    layers: fields.length('n_layer', undefined, 1024),
    width,
    feedForward: fields.length('n_inner', 4 * width),
    heads,
    keyValueHeads: heads,
    headWidth,
    vocabulary: fields.length('vocab_size', undefined, 1 << 24),
    contextLength: fields.length('n_positions', undefined, 1 << 24),
    ropeTheta: 10000,
    normEpsilon: fields.positive('layer_norm_epsilon', 1e-5),
    tiedEmbedding: fields.flag('tie_word_embeddings', true),
    departures: {
      norm: 'layer',
      learnedPositions: true,
      ...activationOf(fields, 'activation_function', 'gelu_new'),
      ...(!fields.flag('scale_attn_weights', true) && { attentionScale: 1 }),
      ...(fields.flag('scale_attn_by_inverse_layer_idx', false) && { inverseLayerScale: true }),
      layout: { transposed: true, packed: 'parts' },
    },
  };
}

function folderTensors(config: ModelConfig): readonly ExpectedTensor[] {
  const { width, vocabulary, feedForward, contextLength } = config;
  const list = new TensorList();
  list.weight('embed', 'wte', [vocabulary, width]);
  list.weight('positions', 'wpe', [contextLength, width]);
  for (let layer = 0; layer < config.layers; layer++) {
    const own = list.layer(layer, `h.${layer}.`);
    const convolution = (name: string, tensor: string, inputs: number, outputs: number) => {
      own.weight(name, tensor, [inputs, outputs]);
      own.bias(name, tensor, outputs);
    };
    own.layerNorm('attentionNorm', 'ln_1', width);
    convolution('queryKeyValue', 'attn.c_attn', width, 3 * width);
    convolution('attentionOut', 'attn.c_proj', width, width);
    own.layerNorm('feedForwardNorm', 'ln_2', width);
    convolution('up', 'mlp.c_fc', width, feedForward);
    convolution('down', 'mlp.c_proj', feedForward, width);
  }
  list.layerNorm('finalNorm', 'ln_f', width);
  if (!config.tiedEmbedding) list.weight('unembed', 'lm_head', [vocabulary, width]);
  return list.expected;
}

function ggufConfig(fields: GgufFields): ModelConfig {
  return {
    ...fields.shape('attention.layer_norm_epsilon'),
    architecture: 'gpt2',
    departures: {
      norm: 'layer',
      learnedPositions: true,
      activation: 'geluTanh',
      layout: { packed: 'parts' },
    },
  };
}

function ggufTensors(config: ModelConfig): readonly ExpectedTensor[] {
  const list = packedGgufTensors(config);
  list.weight('positions', 'position_embd', [config.contextLength, config.width]);
  return list.expected;
}

/** llama.cpp's names for GPT-2 and GPT-NeoX: LayerNorms, biases, no gate, queries, keys and values one after the other. */
export function packedGgufTensors(config: ModelConfig): TensorList {
  const { width, vocabulary, feedForward } = config;
  const list = new TensorList();
  list.weight('embed', 'token_embd', [vocabulary, width]);
  for (let layer = 0; layer < config.layers; layer++) {
    const own = list.layer(layer, `blk.${layer}.`);
    own.layerNorm('attentionNorm', 'attn_norm', width);
    own.affine('queryKeyValue', 'attn_qkv', [3 * width, width]);
    own.affine('attentionOut', 'attn_output', [width, width]);
    own.layerNorm('feedForwardNorm', 'ffn_norm', width);
    own.affine('up', 'ffn_up', [feedForward, width]);
    own.affine('down', 'ffn_down', [width, feedForward]);
  }
  list.layerNorm('finalNorm', 'output_norm', width);
  if (!config.tiedEmbedding) list.weight('unembed', 'output', [vocabulary, width]);
  return list;
}
