import { Algebra } from '../onnx/gradients/algebra.ts';
import { attentionHeads, attentionWeights } from '../onnx/gradients/attention.ts';
import type { Graph, Value } from '../onnx/graph.ts';
import type { ModelConfig } from './model.ts';

/*
 * What the heads of a LIMe layer take from each buffer. The routing is linear, and so is attention in its values: a
 * head's output is the sum over buffers j of sum over s of A(t, s) R_j V_j(s), whose norms say where it came from.
 */

type Heads = Pick<ModelConfig, 'heads' | 'keyValueHeads' | 'headWidth'>;

/** One layer's attention, for the T tokens of one run. */
export interface RoutedAttention {
  /** As the attention reads them, not rotated: (1, T, H paddedWidth) and (1, T, KV paddedWidth). */
  readonly queryAndKey: readonly [Value, Value];
  /** Cosines and sines (R, paddedWidth / 2). */
  readonly tables: readonly [Value, Value];
  /** Of the l layers up to this one, (T, KV, 2 headWidth) each. */
  readonly buffers: readonly Value[];
  /** Each (KV, l KV). */
  readonly routers: readonly (readonly [RouterSet, Value])[];
}

/** A model's own routers, or those that are compared with them. */
export type RouterSet = 'own' | 'instead';

export interface RouteNorms {
  /** |R_j V_j(t)|: (T, KV, l). */
  readonly memory: Value;
  /** |sum over s of A(t, s) R_j V_j(s)|: (T, H, l). */
  readonly output: Value;
}

/** The norms by each of the routers, with one and the same attention. */
export function routeNorms(
  graph: Graph,
  config: Heads,
  layer: RoutedAttention,
): (readonly [RouterSet, RouteNorms])[] {
  const { heads, keyValueHeads, headWidth } = config;
  const math = new Algebra(graph);
  const [query, key] = layer.queryAndKey;
  const q = attentionHeads(math, query, heads, layer.tables); // (1, H, T, paddedWidth)
  const k = attentionHeads(math, key, keyValueHeads, layer.tables);
  const scale = 1 / Math.sqrt(headWidth);
  const weights = attentionWeights(math, [q, k], { heads, groups: keyValueHeads, scale }); // (1, KV, H / KV T, T)
  const values = stackedValues(graph, layer.buffers, config); // (l, KV, T headWidth)
  const count = layer.buffers.length;
  return layer.routers.map(([set, router]) => {
    const apart = graph.op('Reshape', [router, graph.int64([keyValueHeads, count, keyValueHeads])]);
    const byBuffer = graph.op('Transpose', [apart], { perm: [1n, 0n, 2n] }); // (l, KV, KV)
    const mixed = graph.op('MatMul', [byBuffer, values]); // (l, KV, T headWidth)
    const parts = graph.op('Reshape', [mixed, graph.int64([count, keyValueHeads, -1, headWidth])]);
    const abreast = graph.op('Transpose', [parts], { perm: [1n, 2n, 0n, 3n] }); // (KV, T, l, headWidth)
    const wide = graph.op('Reshape', [abreast, graph.int64([keyValueHeads, -1, count * headWidth])]);
    const attended = graph.op('MatMul', [weights, wide]); // (1, KV, H / KV T, l headWidth)
    const outputs = graph.op('Reshape', [attended, graph.int64([heads, -1, count, headWidth])]);
    return [set, { memory: tokenNorms(graph, abreast), output: tokenNorms(graph, outputs) }];
  });
}

/** The values of every buffer: (l, KV, T headWidth). */
function stackedValues(graph: Graph, buffers: readonly Value[], config: Heads): Value {
  const { keyValueHeads, headWidth } = config;
  const bounds = [headWidth, 2 * headWidth, 2].map(bound => graph.int64([bound]));
  const values = buffers.map(buffer => {
    const value = graph.op('Slice', [buffer, ...bounds]); // (T, KV, headWidth)
    const byHead = graph.op('Transpose', [value], { perm: [1n, 0n, 2n] }); // (KV, T, headWidth)
    return graph.op('Reshape', [byHead, graph.int64([1, keyValueHeads, -1])]);
  });
  return graph.op('Concat', values, { axis: 0n });
}

/** Lengths of the vectors of x (heads, T, l, headWidth), the tokens first: (T, heads, l). */
function tokenNorms(graph: Graph, x: Value): Value {
  const norms = graph.op('ReduceL2', [x, graph.int64([3])], { keepdims: 0n }); // (heads, T, l)
  return graph.op('Transpose', [norms], { perm: [1n, 0n, 2n] });
}
