import type { Random } from '../common/random.ts';
import type { Graph, Value } from '../onnx/graph.ts';
import type { ModelConfig } from './model.ts';

/*
 * Layer-Integrated Memory: every layer's attention reads a mixture of its own keys and values and those of all layers
 * before it, of the same token. Source: Gerasimov et al. 2025, arXiv 2502.09245 v2, section 3; corl-team/lime,
 * src/lm/lime.py. The mixture is made before the rotation, so that what a cache keeps is what a plain Llama's keeps.
 */

type Heads = Pick<ModelConfig, 'keyValueHeads' | 'headWidth'>;

/** One layer's keys, not rotated, and values, (1, T, KV headWidth) each. */
export interface KeysAndValues {
  readonly key: Value;
  readonly value: Value;
}

/** The shape of one layer's buffer, for `tokens`: every head's key, not rotated, and then its value. */
export function bufferShape<T>({ keyValueHeads, headWidth }: Heads, tokens: T): [T, number, number] {
  return [tokens, keyValueHeads, 2 * headWidth];
}

/** What later layers' routers read of a layer: (T, KV, 2 headWidth). */
export function layerBuffer(graph: Graph, { key, value }: KeysAndValues, heads: Heads): Value {
  const shape = graph.int64([-1, heads.keyValueHeads, heads.headWidth]);
  const parts = [key, value].map(part => graph.op('Reshape', [part, shape])); // (T, KV, headWidth)
  return graph.op('Concat', parts, { axis: 2n });
}

/**
 * Each head's mixture of all heads of the layers so far, R B, the same for keys and values. `buffers` are those of the
 * l layers up to this one, (T, KV, 2 headWidth) each; `router` is (KV, l KV), the earliest layer's heads first.
 */
export function routed(
  graph: Graph,
  buffers: readonly Value[],
  router: Value,
  { keyValueHeads, headWidth }: Heads,
): KeysAndValues {
  const stack = graph.op('Concat', buffers, { axis: 1n }); // (T, l KV, 2 headWidth)
  const mixed = graph.op('MatMul', [router, stack]); // (T, KV, 2 headWidth)
  const [keys, values] = graph.ops(2, 'Split', [mixed], { axis: 2n, num_outputs: 2n }); // (T, KV, headWidth)
  const shape = graph.int64([1, -1, keyValueHeads * headWidth]);
  return { key: graph.op('Reshape', [keys, shape]), value: graph.op('Reshape', [values, shape]) };
}

/** The router (KV, l KV) of layer number `layer`, counted from 0, that passes the layer's own heads on: a Llama's. */
export function identityRouter(layer: number, keyValueHeads: number): Float32Array {
  const columns = (layer + 1) * keyValueHeads;
  const router = new Float32Array(keyValueHeads * columns);
  for (let head = 0; head < keyValueHeads; head++) {
    router[head * columns + layer * keyValueHeads + head] = 1;
  }
  return router;
}

/**
 * The bound b of the uniform numbers that a router of layer number `layer` begins with: sqrt(3 / fan-in), as in the
 * authors' code (their paper's listing says otherwise).
 */
export function initialBound(layer: number, keyValueHeads: number): number {
  return Math.sqrt(3 / ((layer + 1) * keyValueHeads));
}

/** A router as a training begins with it: the layer's own heads passed on, all others uniform in [-b, b). */
export function initialRouter(layer: number, keyValueHeads: number, random: Random): Float32Array {
  const bound = initialBound(layer, keyValueHeads);
  const before = layer * keyValueHeads;
  return identityRouter(layer, keyValueHeads).map((own, at) =>
    at % (before + keyValueHeads) < before ? bound * (2 * random.uniform() - 1) : own,
  );
}
