import { Graph, type Value } from '../onnx/graph.ts';
import { outputWidthOf, type Dictionary } from './dictionary.ts';
import { encoded } from './encoderGraph.ts';
import { addResiduals, type Residual } from './residualsGraph.ts';

/** Names of what a reading's session is fed with and gives. */
export const readings = {
  /** What the SAE reads (T, D), and where it is a transcoder, what it reconstructs (T, O). */
  x: 'x',
  target: 'target',
  /** The rows that are read, int64 (1) each: t of them. */
  from: 'from',
  to: 'to',
  /** 1 where a row belongs to a cell, and may count in its sum (C, t). */
  cells: 'cells',
  /** (t, K) each, as in `Encoding`; and |target - xhat_k|^2. */
  activations: 'activations',
  features: 'features',
  squaredError: 'squaredError',
  /** |target|^2, and 1 where |x| is within the token policy's norm, (t) each. */
  squaredNorm: 'squaredNorm',
  within: 'within',
  /** Of each cell, the sum of its rows of the target that count (C, O). */
  sums: 'sums',
} as const;

/**
 * All that an analysis asks of an SAE and the residual SAEs of its domains, in one graph, so that activations that lie on a
 * device need not leave it. The errors are those of `prefixErrors`, in float32: the running sums of a token's K scaled decoder
 * rows are one product with a triangle of ones. Memory: t K O numbers, thrice; of each residual SAE t F_d, thrice.
 */
export function readingGraph(
  dictionary: Dictionary,
  k: number,
  residuals: readonly Residual[] = [],
): Uint8Array {
  const graph = new Graph();
  const { inputWidth: D, width: F, decoderBias, output, tokenPolicy } = dictionary;
  const O = outputWidthOf(dictionary);
  const bounds = [readings.from, readings.to].map(name => graph.input(name, 'int64', [1]));
  const rowsOf = (name: string, width: number) =>
    graph.op('Slice', [graph.input(name, 'float32', ['T', width]), ...bounds, graph.int64([0])]);
  const given = rowsOf(readings.x, D); // (t, D)
  const encoder = graph.float32(dictionary.encoder, [F, D]);
  const { x, largest, scale, start, ...encoding } = encoded(
    graph,
    dictionary,
    { given, encoder },
    k,
  );
  // An Identity beside another reader would stay, and WebGPU has none of int64.
  const features = graph.outputInPlace(encoding.features, readings.features, 'int64', ['t', k]);
  const activations = graph.op('Relu', [largest]); // (t, K)
  graph.output(activations, readings.activations, 'float32', ['t', k]);

  const target = output ? rowsOf(readings.target, O) : x; // (t, O)
  const decoder = graph.float32(dictionary.decoder, [F, O]);
  const strengths = scale ? graph.op('Mul', [activations, scale]) : activations;
  const column = graph.op('Unsqueeze', [strengths, graph.int64([2])]); // (t, K, 1)
  const rows = graph.op('Mul', [graph.op('Gather', [decoder, features]), column]); // (t, K, O)
  const sums = graph.op('MatMul', [triangle(graph, k), rows]); // (t, K, O)
  const before = start ?? graph.float32(decoderBias ?? new Float32Array(O), [1, O]);
  const left = graph.op('Unsqueeze', [graph.op('Sub', [target, before]), graph.int64([1])]); // (t, 1, O)
  const errors = graph.op('Sub', [left, sums]); // (t, K, O)
  const squaredError = sumOfSquares(graph, errors, 2); // (t, K)
  graph.output(squaredError, readings.squaredError, 'float32', ['t', k]);
  if (residuals.length > 0) addResiduals(graph, residuals, { given, errors, k });

  graph.output(sumOfSquares(graph, target, 1), readings.squaredNorm, 'float32', ['t']);
  const one = (value: number) => graph.float32(Float32Array.of(value), [1]);
  // Infinity for a policy without a limit: only a token with NaN is left out.
  const limit = Math.min(tokenPolicy.maxNorm ** 2, largestFloat);
  const isWithin = graph.op('LessOrEqual', [sumOfSquares(graph, given, 1), one(limit)]); // (t)
  graph.output(graph.op('Where', [isWithin, one(1), one(0)]), readings.within, 'float32', ['t']);
  const counted = graph.op('Where', [
    graph.op('Unsqueeze', [isWithin, graph.int64([1])]),
    target,
    one(0),
  ]);
  const cells = graph.input(readings.cells, 'float32', ['C', 't']);
  graph.output(graph.op('MatMul', [cells, counted]), readings.sums, 'float32', ['C', O]);
  return graph.bytes();
}

/** The largest number of float32. */
const largestFloat = 3.4028234663852886e38;

/** Ones on and below the diagonal, (K, K). */
function triangle(graph: Graph, k: number): Value {
  const ones = Float32Array.from({ length: k * k }, (_, i) => (i % k <= Math.floor(i / k) ? 1 : 0));
  return graph.float32(ones, [k, k]);
}

function sumOfSquares(graph: Graph, x: Value, axis: number): Value {
  return graph.op('ReduceSumSquare', [x, graph.int64([axis])], { keepdims: 0n });
}
