import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Failure } from '../common/failure.ts';
import type { PlannedWeight } from '../weights/dequantised.ts';
import { readSafetensorsFolder } from '../weights/safetensorsFolder.ts';
import { parseLlamaConfig } from './llamaFolderConfig.ts';
import type { ModelConfig } from './model.ts';
import { type ExpectedTensor, planWeights } from './weightPlan.ts';

/** A Llama or LIMe model in a folder of transformers' layout: its shape, and which tensor is which weight. */
export interface LlamaFolder {
  readonly config: ModelConfig;
  readonly weights: readonly PlannedWeight[];
  /** The files with the weights. */
  readonly files: readonly string[];
}

/**
 * Reads a folder with config.json and safetensors. A model whose layers have a fused `kv_proj_weight` is a LIMe model:
 * the authors' code writes the configuration of an ordinary Llama. Source: corl-team/lime, src/lm/lime.py and train.py.
 */
export async function readLlamaFolder(folder: string): Promise<LlamaFolder> {
  const path = await configPath(folder);
  const stored = await readSafetensorsFolder(folder);
  const name = basename(resolve(folder));
  const { tiedEmbedding, ...shape } = parseLlamaConfig(await readFile(path, 'utf8'), path, name);
  const config: ModelConfig = {
    ...shape,
    architecture: stored.tensors.has(fusedName(0)) ? 'lime' : 'llama',
    // A tied matrix is usually stored once; where there is a second it is taken as it stands.
    tiedEmbedding: tiedEmbedding && !stored.tensors.has(unembedName),
  };
  const label = config.architecture === 'lime' ? 'LIMe' : 'Llama';
  return { config, weights: planWeights(stored, expectedTensors(config), label), files: stored.files };
}

const unembedName = 'lm_head.weight';

function fusedName(layer: number): string {
  return `model.layers.${layer}.self_attn.kv_proj_weight`;
}

/** Beside the weights, or where LIMe's train.py leaves it: weights in `final`, configuration in `config`. */
async function configPath(folder: string): Promise<string> {
  const beside = join(folder, 'config.json');
  const trained = join(dirname(resolve(folder)), 'config', 'config.json');
  for (const path of [beside, trained]) {
    if ((await stat(path).catch(() => undefined))?.isFile()) return path;
  }
  throw new Failure('not-found', `There is no ${beside}.`, {
    action: 'Choose a GGUF file, or a folder with a config.json and the weights in safetensors.',
  });
}

function expectedTensors(config: ModelConfig): ExpectedTensor[] {
  const { width, vocabulary } = config;
  const embed = { name: 'embed', tensor: 'model.embed_tokens.weight', shape: [vocabulary, width] };
  return [
    embed,
    ...Array.from({ length: config.layers }, (_, layer) => layerTensors(config, layer)).flat(),
    { name: 'finalNorm', tensor: 'model.norm.weight', shape: [width] },
    ...(config.tiedEmbedding ? [] : [{ ...embed, name: 'unembed', tensor: unembedName }]),
  ];
}

function layerTensors(config: ModelConfig, layer: number): ExpectedTensor[] {
  const { width, feedForward, heads, headWidth } = config;
  const queries = heads * headWidth;
  const one = (name: string, tensor: string, shape: readonly number[]) => ({
    name: `blocks.${layer}.${name}`,
    tensor: `model.layers.${layer}.${tensor}.weight`,
    shape,
  });
  return [
    one('attentionNorm', 'input_layernorm', [width]),
    one('query', 'self_attn.q_proj', [queries, width]),
    ...(config.architecture === 'lime' ? routedTensors(config, layer) : separateTensors(config, one)),
    one('attentionOut', 'self_attn.o_proj', [width, queries]),
    one('feedForwardNorm', 'post_attention_layernorm', [width]),
    one('gate', 'mlp.gate_proj', [feedForward, width]),
    one('up', 'mlp.up_proj', [feedForward, width]),
    one('down', 'mlp.down_proj', [width, feedForward]),
  ];
}

function separateTensors(
  { keyValueHeads, headWidth, width }: ModelConfig,
  one: (name: string, tensor: string, shape: readonly number[]) => ExpectedTensor,
): ExpectedTensor[] {
  const shape = [keyValueHeads * headWidth, width];
  return [one('key', 'self_attn.k_proj', shape), one('value', 'self_attn.v_proj', shape)];
}

/** LIMe's keys and values in one matrix, and from the second layer on its router (KV, (layer + 1) KV). */
function routedTensors(config: ModelConfig, layer: number): ExpectedTensor[] {
  const { keyValueHeads, headWidth, width } = config;
  const tensor = fusedName(layer);
  const shape = [2 * headWidth * keyValueHeads, width];
  const key = { name: `blocks.${layer}.key`, tensor, shape, rowOrder: fusedRows(config, 0) };
  const value = { ...key, name: `blocks.${layer}.value`, rowOrder: fusedRows(config, headWidth) };
  if (layer === 0) return [key, value];
  const router = {
    name: `blocks.${layer}.router`,
    tensor: `model.layers.${layer}.self_attn.lime_router.static_weights`,
    shape: [keyValueHeads, (layer + 1) * keyValueHeads],
  };
  return [key, value, router];
}

/**
 * The fused matrix has its rows in the order (kv, h), h fastest: row i KV + h is value i of head h, where the first
 * headWidth values are the key's and the rest the value's. The graph wants head after head.
 */
function fusedRows({ keyValueHeads, headWidth }: ModelConfig, first: number): Uint32Array {
  return Uint32Array.from({ length: keyValueHeads * headWidth }, (_, row) => {
    const head = Math.floor(row / headWidth);
    return (first + (row % headWidth)) * keyValueHeads + head;
  });
}
