import type { ConfigFields } from '../configFields.ts';
import { type GgufFields, withRotation } from '../ggufFields.ts';
import { activationOf, llamaShape, ropeFields } from '../llamaLike.ts';
import type { ArchitectureName, Departures, ModelConfig } from '../model.ts';
import { rotationFrom } from '../rotaryScaling.ts';
import type { ExpectedTensor } from '../weightPlan.ts';
import type { Architecture } from './architecture.ts';
import { fusedName, routedTensors } from './lime.ts';
import { TensorList } from './tensorList.ts';

/**
 * Llama 2 and 3: RMS norms, rotated queries and keys, SwiGLU. Source: Touvron et al. 2023, arXiv 2302.13971; Grattafiori
 * et al. 2024, arXiv 2407.21783; transformers, models/llama/modeling_llama.py.
 */
export const llama: Architecture = {
  label: 'Llama',
  folder: {
    types: ['llama'],
    config: (fields, name) => llamaConfig(fields, name, 'llama'),
    tensors: llamaTensors,
  },
  gguf: {
    type: 'llama',
    config: fields => llamaGgufConfig(fields, 'llama'),
    tensors: (config, has) => llamaGgufTensors(config, has, true),
  },
};

/** A configuration in Llama's keys, with its rotation and whatever else departs. */
export function llamaConfig(
  fields: ConfigFields,
  name: string,
  architecture: ArchitectureName,
  others: Departures = {},
): ModelConfig {
  const shape = llamaShape(fields, name);
  const rope = ropeFields(fields);
  const { rotation, contextLength } = rotationFrom(rope, {
    headWidth: shape.headWidth,
    theta: shape.ropeTheta,
    part: fields.positive('partial_rotary_factor', 1),
    contextLength: shape.contextLength,
  });
  const departures = { ...activationOf(fields, 'hidden_act', 'silu'), ...others };
  return { ...shape, contextLength, architecture, ...withRotation(rotation, shape, departures) };
}

/** What a layer has beside its matrices. */
export interface LlamaParts {
  /** The norms by the weights' names and theirs in the files. */
  readonly norms?: Readonly<Record<string, string>>;
  /** Norms of queries and keys, their lengths. */
  readonly queryKeyNorm?: readonly [query: number, key: number];
}

const preNorms = { attentionNorm: 'input_layernorm', feedForwardNorm: 'post_attention_layernorm' };

/** The tensors of transformers' Llama; biases where they are there. */
export function llamaTensors(
  config: ModelConfig,
  has: (tensor: string) => boolean,
  { norms = preNorms, queryKeyNorm }: LlamaParts = {},
): readonly ExpectedTensor[] {
  const { width, vocabulary, heads, keyValueHeads, headWidth, feedForward } = config;
  const list = new TensorList();
  list.weight('embed', 'model.embed_tokens', [vocabulary, width]);
  for (let layer = 0; layer < config.layers; layer++) {
    const prefix = `model.layers.${layer}.`;
    const own = list.layer(layer, prefix);
    const linear = (name: string, tensor: string, shape: readonly [number, number]) => {
      own.weight(name, tensor, shape);
      if (has(`${prefix}${tensor}.bias`)) own.bias(name, tensor, shape[0]);
    };
    for (const [name, tensor] of Object.entries(norms)) own.weight(name, tensor, [width]);
    const [queries, keys] = [heads * headWidth, keyValueHeads * headWidth];
    linear('query', 'self_attn.q_proj', [queries, width]);
    if (has(fusedName(0))) {
      list.expected.push(...routedTensors(config, layer));
    } else {
      linear('key', 'self_attn.k_proj', [keys, width]);
      linear('value', 'self_attn.v_proj', [keys, width]);
    }
    if (queryKeyNorm) {
      own.weight('queryNorm', 'self_attn.q_norm', [queryKeyNorm[0]]);
      own.weight('keyNorm', 'self_attn.k_norm', [queryKeyNorm[1]]);
    }
    linear('attentionOut', 'self_attn.o_proj', [width, queries]);
    linear('gate', 'mlp.gate_proj', [feedForward, width]);
    linear('up', 'mlp.up_proj', [feedForward, width]);
    linear('down', 'mlp.down_proj', [width, feedForward]);
  }
  list.weight('finalNorm', 'model.norm', [width]);
  if (!config.tiedEmbedding) list.weight('unembed', 'lm_head', [vocabulary, width]);
  return list.expected;
}

/** A GGUF file's configuration in the keys that all architectures share. */
export function llamaGgufConfig(
  fields: GgufFields,
  architecture: ArchitectureName,
  others: Departures = {},
): ModelConfig {
  const shape = fields.shape();
  return { ...shape, architecture, ...withRotation(fields.rotation(shape), shape, others) };
}

const ggufPreNorms = { attentionNorm: 'attn_norm', feedForwardNorm: 'ffn_norm' };

/**
 * The tensors of llama.cpp's Llama; biases where they are there. `interleaved`: the converter has put each head's two
 * rotated halves into each other, where the graph, like transformers, keeps them apart.
 */
export function llamaGgufTensors(
  config: ModelConfig,
  has: (tensor: string) => boolean,
  interleaved: boolean,
  { norms = ggufPreNorms, queryKeyNorm }: LlamaParts = {},
): readonly ExpectedTensor[] {
  const { width, vocabulary, heads, keyValueHeads, headWidth, feedForward } = config;
  const list = new TensorList();
  list.weight('embed', 'token_embd', [vocabulary, width]);
  for (let layer = 0; layer < config.layers; layer++) {
    const prefix = `blk.${layer}.`;
    const own = list.layer(layer, prefix);
    const linear = (name: string, tensor: string, shape: readonly [number, number], count?: number) => {
      const more = interleaved && count ? { rowOrder: halfSplitRows(count, headWidth) } : {};
      own.weight(name, tensor, shape, more);
      if (has(`${prefix}${tensor}.bias`)) own.bias(name, tensor, shape[0], more);
    };
    for (const [name, tensor] of Object.entries(norms)) own.weight(name, tensor, [width]);
    const [queries, keys] = [heads * headWidth, keyValueHeads * headWidth];
    linear('query', 'attn_q', [queries, width], heads);
    linear('key', 'attn_k', [keys, width], keyValueHeads);
    linear('value', 'attn_v', [keys, width]);
    if (queryKeyNorm) {
      own.weight('queryNorm', 'attn_q_norm', [queryKeyNorm[0]]);
      own.weight('keyNorm', 'attn_k_norm', [queryKeyNorm[1]]);
    }
    linear('attentionOut', 'attn_output', [width, queries]);
    linear('gate', 'ffn_gate', [feedForward, width]);
    linear('up', 'ffn_up', [feedForward, width]);
    linear('down', 'ffn_down', [width, feedForward]);
  }
  list.weight('finalNorm', 'output_norm', [width]);
  if (!config.tiedEmbedding) list.weight('unembed', 'output', [vocabulary, width]);
  return list.expected;
}

/** Row r of a matrix with a head's halves apart is row halfSplitRows[r] of one with them in each other. */
function halfSplitRows(heads: number, headWidth: number): Uint32Array {
  const half = headWidth / 2;
  return Uint32Array.from({ length: heads * headWidth }, (_, row) => {
    const inHead = row % headWidth;
    return row - inHead + 2 * (inHead % half) + Math.floor(inHead / half);
  });
}
