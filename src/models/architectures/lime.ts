import type { ModelConfig } from '../model.ts';
import type { ExpectedTensor } from '../weightPlan.ts';

/*
 * What LIMe's authors store in the place of a Llama's keys and values. Their configuration is an ordinary Llama's: the
 * fused tensor tells the two apart. Source: corl-team/lime, src/lm/lime.py and train.py.
 */

export function fusedName(layer: number): string {
  return `model.layers.${layer}.self_attn.kv_proj_weight`;
}

/** LIMe's keys and values in one matrix, and from the second layer on its router (KV, (layer + 1) KV). */
export function routedTensors(config: ModelConfig, layer: number): ExpectedTensor[] {
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
