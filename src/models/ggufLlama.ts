import { Failure } from '../common/failure.ts';
import type { PlannedWeight } from '../weights/dequantised.ts';
import type { GgufFile } from '../weights/gguf.ts';
import {
  badMetadata,
  metadataInteger,
  metadataPositive,
  metadataText,
  metadataTexts,
} from '../weights/ggufMetadata.ts';
import type { ModelConfig } from './model.ts';
import { type ExpectedTensor, planWeights } from './weightPlan.ts';

/** A Llama model in a GGUF file: its shape, and which tensor is which weight of the graph. */
export interface GgufLlama {
  readonly config: ModelConfig;
  readonly weights: readonly PlannedWeight[];
}

/** Reads a Llama model's shape and finds its tensors; every tensor of the file must be used, in the right shape. */
export function readGgufLlama(file: GgufFile): GgufLlama {
  const config = readConfig(file);
  refuseVariants(file, config);
  const source = { path: file.path, tensors: file.tensors, fileOf: () => file.path };
  return { config, weights: planWeights(source, expectedTensors(config), 'Llama') };
}

function readConfig(file: GgufFile): ModelConfig {
  const architecture = metadataText(file, 'general.architecture');
  if (architecture !== 'llama') {
    throw new Failure('unsupported', `${file.path}: expected the architecture llama, found ${architecture}.`, {
      action: 'Choose a Llama model, for example SmolLM2.',
    });
  }
  const length = (key: string, otherwise?: number) =>
    metadataInteger(file, `llama.${key}`, { least: 1, most: 1 << 20, ...(otherwise && { otherwise }) });
  const width = length('embedding_length');
  const heads = length('attention.head_count');
  return {
    architecture,
    name: metadataText(file, 'general.name', 'llama'),
    layers: metadataInteger(file, 'llama.block_count', { least: 1, most: 1024 }),
    width,
    feedForward: length('feed_forward_length'),
    heads,
    keyValueHeads: length('attention.head_count_kv', heads),
    headWidth: length('attention.key_length', Math.max(1, Math.floor(width / heads))),
    vocabulary: metadataTexts(file, 'tokenizer.ggml.tokens').length,
    contextLength: length('context_length'),
    ropeTheta: metadataPositive(file, 'llama.rope.freq_base', 10000),
    normEpsilon: metadataPositive(file, 'llama.attention.layer_norm_rms_epsilon'),
    tiedEmbedding: !file.tensors.has('output.weight'),
  };
}

/** What the metadata can ask for that the graph does not do: better refused than computed wrongly. */
function refuseVariants(file: GgufFile, config: ModelConfig): void {
  const { heads, keyValueHeads, headWidth } = config;
  if (heads % keyValueHeads !== 0) {
    throw badMetadata(file, 'llama.attention.head_count_kv', `a divisor of the ${heads} heads`);
  }
  if (headWidth % 2 !== 0) {
    throw new Failure('unsupported', `${file.path}: heads of ${headWidth} values; Loupe runs even numbers.`);
  }
  const fixed: readonly [key: string, value: number | string][] = [
    ['llama.rope.dimension_count', headWidth],
    ['llama.attention.value_length', headWidth],
    ['llama.expert_count', 0],
    ['llama.rope.scaling.type', 'none'],
  ];
  for (const [key, value] of fixed) {
    const found = file.metadata.get(key) ?? value;
    if (found === value) continue;
    throw new Failure(
      'unsupported',
      `${file.path}: metadata "${key}" is ${JSON.stringify(found)}; Loupe runs ${JSON.stringify(value)}.`,
    );
  }
}

function expectedTensors(config: ModelConfig): ExpectedTensor[] {
  const { width, vocabulary } = config;
  const embed = { name: 'embed', tensor: 'token_embd.weight', shape: [vocabulary, width] };
  return [
    embed,
    ...Array.from({ length: config.layers }, (_, layer) => layerTensors(config, layer)).flat(),
    { name: 'finalNorm', tensor: 'output_norm.weight', shape: [width] },
    ...(config.tiedEmbedding ? [] : [{ ...embed, name: 'unembed', tensor: 'output.weight' }]),
  ];
}

function layerTensors(config: ModelConfig, layer: number): ExpectedTensor[] {
  const { width, feedForward, heads, keyValueHeads, headWidth } = config;
  const queries = heads * headWidth;
  const keys = keyValueHeads * headWidth;
  const one = (name: string, tensor: string, shape: readonly number[]) => ({
    name: `blocks.${layer}.${name}`,
    tensor: `blk.${layer}.${tensor}.weight`,
    shape,
  });
  return [
    one('attentionNorm', 'attn_norm', [width]),
    { ...one('query', 'attn_q', [queries, width]), rowOrder: halfSplitRows(heads, headWidth) },
    { ...one('key', 'attn_k', [keys, width]), rowOrder: halfSplitRows(keyValueHeads, headWidth) },
    one('value', 'attn_v', [keys, width]),
    one('attentionOut', 'attn_output', [width, queries]),
    one('feedForwardNorm', 'ffn_norm', [width]),
    one('gate', 'ffn_gate', [feedForward, width]),
    one('up', 'ffn_up', [feedForward, width]),
    one('down', 'ffn_down', [width, feedForward]),
  ];
}

/** llama.cpp interleaves each head's two rotated halves; the graph, like transformers, keeps them apart. */
function halfSplitRows(heads: number, headWidth: number): Uint32Array {
  const half = headWidth / 2;
  return Uint32Array.from({ length: heads * headWidth }, (_, row) => {
    const inHead = row % headWidth;
    return row - inHead + 2 * (inHead % half) + Math.floor(inHead / half);
  });
}
