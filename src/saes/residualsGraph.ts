import type { Graph, Value } from '../onnx/graph.ts';
import type { Dictionary } from './dictionary.ts';
import { encoded } from './encoderGraph.ts';

/** A residual SAE that a reading takes in. */
export interface Residual {
  readonly dictionary: Dictionary;
  /** The number of its feature 0 among all features. */
  readonly first: number;
  /** Most features kept per token. */
  readonly maxK: number;
}

/** Names of what a reading gives of n residual SAEs. */
export const residualReadings = {
  /** e_k . ehat of each, (t, K, n). */
  products: 'products',
  /** ehat . ehat of each two, (t, n, n). */
  gram: 'gram',
  /**
   * Of one, its own features and their activations (t, K_d), descending. K_d: most that fire on one of these tokens, at least
   * 1 and at most `maxK`.
   */
  features: (i: number) => `features${i}`,
  activations: (i: number) => `activations${i}`,
} as const;

export interface ResidualsInput {
  readonly given: Value; // (t, D)
  /** What each prefix of the base's features leaves of x (t, K, D). */
  readonly errors: Value;
  readonly k: number;
}

/** Adds what residual SAEs say of the same rows; see `DomainPart`. */
export function addResiduals(
  graph: Graph,
  residuals: readonly Residual[],
  { given, errors, k }: ResidualsInput,
): void {
  const n = residuals.length;
  const ehats = residuals.map((residual, i) =>
    graph.op('Unsqueeze', [addResidual(graph, residual, given, i), graph.int64([1])]),
  );
  const stacked = graph.op('Concat', ehats, { axis: 1n }); // (t, n, D)
  const columns = graph.op('Transpose', [stacked], { perm: [0n, 2n, 1n] }); // (t, D, n)
  const { products, gram } = residualReadings;
  graph.output(graph.op('MatMul', [errors, columns]), products, 'float32', ['t', k, n]);
  graph.output(graph.op('MatMul', [stacked, columns]), gram, 'float32', ['t', n, n]);
}

/** Its ehat (t, D): of exactly the features that are kept. */
function addResidual(graph: Graph, { dictionary, maxK }: Residual, given: Value, i: number): Value {
  const { width: F, inputWidth: D } = dictionary;
  const encoder = graph.float32(dictionary.encoder, [F, D]);
  const kept = (candidates: Value) => mostThatFire(graph, candidates, maxK);
  const encoding = encoded(graph, dictionary, { given, encoder }, kept);
  const name = residualReadings.features(i);
  const features = graph.outputInPlace(encoding.features, name, 'int64', ['t', `K${i}`]);
  const activations = graph.op('Relu', [encoding.largest]); // (t, K_d)
  graph.output(activations, residualReadings.activations(i), 'float32', ['t', `K${i}`]);
  const spread = graph.op('ScatterElements', [zeros(graph, given, F), features, activations], {
    axis: 1n,
  }); // (t, F)
  const sum = graph.op('MatMul', [spread, graph.float32(dictionary.decoder, [F, D])]);
  const { scale, start } = encoding;
  const scaled = scale ? graph.op('Mul', [sum, scale]) : sum;
  return start ? graph.op('Add', [scaled, start]) : scaled;
}

/**
 * Most candidates (t, F) above 0 on one token, from 1 to `most`, int64 (1). Features of WebGPU are int64, of which it can cut
 * nothing off: the K largest are taken where K is already known.
 */
function mostThatFire(graph: Graph, candidates: Value, most: number): Value {
  const number = (value: number) => graph.float32(Float32Array.of(value), [1]);
  const fires = graph.op('Greater', [candidates, number(0)]);
  const ones = graph.op('Where', [fires, number(1), number(0)]);
  const counts = graph.op('ReduceSum', [ones, graph.int64([1])], { keepdims: 0n }); // (t)
  const largest = graph.op('ReduceMax', [counts, graph.int64([0])], { keepdims: 1n }); // (1)
  const bounded = graph.op('Max', [graph.op('Min', [largest, number(most)]), number(1)]);
  return graph.op('Cast', [bounded], { to: int64 });
}

/** TensorProto.DataType.INT64 */
const int64 = 7n;

/** (t, F) for the rows of `x` (t, D), whatever they are. */
function zeros(graph: Graph, x: Value, F: number): Value {
  const [none, one] = [graph.int64([0]), graph.int64([1])];
  const column = graph.op('Slice', [x, none, one, one]); // (t, 1)
  const zero = graph.float32(Float32Array.of(0), [1]);
  const isAny = graph.op('Greater', [column, zero]);
  return graph.op('Where', [isAny, graph.float32(new Float32Array(F), [1, F]), zero]);
}
