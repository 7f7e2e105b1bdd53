import { readFloat32 } from '../../weights/ggufTensor.ts';
import { type GgufFields, withRotation } from '../ggufFields.ts';
import { windowOf } from '../llamaLike.ts';
import type { ModelConfig, Rotation } from '../model.ts';
import { longScale, slowedEach } from '../rotaryScaling.ts';
import type { ExpectedTensor } from '../weightPlan.ts';
import type { Architecture } from './architecture.ts';
import { llamaConfig } from './llama.ts';
import { TensorList } from './tensorList.ts';

/** A Llama whose matrices are packed: queries, keys and values; gate and up. Source: Abdin et al. 2024, arXiv 2404.14219. */
export const phi3: Architecture = {
  label: 'Phi-3',
  folder: {
    types: ['phi3'],
    config: (given, name) => {
      const fields = given.withDefaults({ rms_norm_eps: 1e-5 });
      const rope = fields.has('rope_parameters') ? 'rope_parameters' : 'rope_scaling';
      // The context that the short factors are for stands beside the rope parameters, or in them.
      const original = fields.length('original_max_position_embeddings', 4096, 1 << 24);
      const within = fields.object(rope).withDefaults({ original_max_position_embeddings: original });
      return llamaConfig(
        fields.replacing(rope, within),
        name,
        'phi3',
        windowOf(fields, fields.length('num_hidden_layers'), () => true),
      );
    },
    tensors: config => tensors(config, folderNames),
  },
  gguf: {
    type: 'phi3',
    config: ggufConfig,
    tensors: config => tensors(config, ggufNames),
    // Read with the metadata.
    ignored: /^rope_factors_(?:long|short)\.weight$/,
  },
};

const folderNames = {
  embed: 'model.embed_tokens',
  layer: (layer: number) => `model.layers.${layer}.`,
  attentionNorm: 'input_layernorm',
  packed: 'self_attn.qkv_proj',
  attentionOut: 'self_attn.o_proj',
  feedForwardNorm: 'post_attention_layernorm',
  gateUp: 'mlp.gate_up_proj',
  down: 'mlp.down_proj',
  finalNorm: 'model.norm',
  unembed: 'lm_head',
};

const ggufNames: typeof folderNames = {
  embed: 'token_embd',
  layer: layer => `blk.${layer}.`,
  attentionNorm: 'attn_norm',
  packed: 'attn_qkv',
  attentionOut: 'attn_output',
  feedForwardNorm: 'ffn_norm',
  gateUp: 'ffn_up',
  down: 'ffn_down',
  finalNorm: 'output_norm',
  unembed: 'output',
};

function tensors(
  config: ModelConfig,
  names: typeof folderNames,
): readonly ExpectedTensor[] {
  const { width, vocabulary, heads, keyValueHeads, headWidth, feedForward } = config;
  const [queries, keys] = [heads * headWidth, keyValueHeads * headWidth];
  const list = new TensorList();
  list.weight('embed', names.embed, [vocabulary, width]);
  for (let layer = 0; layer < config.layers; layer++) {
    const own = list.layer(layer, names.layer(layer));
    const packed = [queries + 2 * keys, width];
    own.weight('attentionNorm', names.attentionNorm, [width]);
    own.weight('query', names.packed, packed, { rows: { first: 0, count: queries } });
    own.weight('key', names.packed, packed, { rows: { first: queries, count: keys } });
    own.weight('value', names.packed, packed, { rows: { first: queries + keys, count: keys } });
    own.weight('attentionOut', names.attentionOut, [width, queries]);
    own.weight('feedForwardNorm', names.feedForwardNorm, [width]);
    const both = [2 * feedForward, width];
    own.weight('gate', names.gateUp, both, { rows: { first: 0, count: feedForward } });
    own.weight('up', names.gateUp, both, { rows: { first: feedForward, count: feedForward } });
    own.weight('down', names.down, [width, feedForward]);
  }
  list.weight('finalNorm', names.finalNorm, [width]);
  if (!config.tiedEmbedding) list.weight('unembed', names.unembed, [vocabulary, width]);
  return list.expected;
}

function ggufConfig(fields: GgufFields): ModelConfig {
  const shape = fields.shape();
  const plain = fields.rotation(shape);
  const { rotation, contextLength } = longRotation(fields, plain, shape.contextLength);
  const window = fields.window(shape.layers, () => true);
  return {
    ...shape,
    contextLength,
    architecture: 'phi3',
    ...withRotation(rotation, shape, window),
  };
}

/** LongRoPE's short factors, which lie in a tensor: beyond the original context others hold, so windows end there. */
function longRotation(
  fields: GgufFields,
  plain: Rotation,
  contextLength: number,
): { rotation: Rotation; contextLength: number } {
  const { file } = fields;
  const short = file.tensors.get('rope_factors_short.weight');
  if (!short) return { rotation: plain, contextLength };
  const original = fields.length('rope.scaling.original_context_length', 4096);
  const scale = fields.positive('rope.scaling.attn_factor', longScale(contextLength / original, original));
  return {
    rotation: slowedEach(plain, readFloat32(file, short), scale),
    contextLength: Math.min(contextLength, original),
  };
}
