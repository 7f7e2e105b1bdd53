import type { Graph, Value } from '../onnx/graph.ts';
import type { Dictionary } from './dictionary.ts';

/** What a token's activation becomes before the encoder, and how its reconstruction is written back. */
export interface NormalisedInput {
  /** x as the SAE knows it: less its mean where the SAE is centred, (T, D). */
  readonly x: Value;
  readonly normalised: Value; // (T, D)
  /** The reconstruction is to be multiplied by this, (T, 1), ... */
  readonly scale?: Value | undefined;
  /** ... and then this added, (T, 1). */
  readonly shift?: Value | undefined;
}

/** Adds centring and `inputNorm` to the graph; formulas in `InputNorm`. */
export function normalisedInput(
  graph: Graph,
  { inputNorm, centred, inputWidth: D }: Dictionary,
  given: Value,
): NormalisedInput {
  const axis = graph.int64([1]);
  const number = (value: number) => graph.float32(Float32Array.of(value), [1]);
  const meanOf = (x: Value) => graph.op('ReduceMean', [x, axis], { keepdims: 1n }); // (T, 1)
  const x = centred ? graph.op('Sub', [given, meanOf(given)]) : given;
  if (inputNorm === undefined) return { x, normalised: x };
  if (inputNorm === 'length') {
    const length = graph.op('ReduceL2', [x, axis], { keepdims: 1n });
    const scale = graph.op('Div', [length, number(Math.sqrt(D))]);
    // A token of zeros stays one.
    return { x, scale, normalised: graph.op('Div', [x, graph.op('Max', [scale, number(1e-30)])]) };
  }
  const shift = meanOf(x);
  const rest = graph.op('Sub', [x, shift]);
  const squares = graph.op('ReduceSumSquare', [rest, axis], { keepdims: 1n });
  const scale = graph.op('Sqrt', [graph.op('Div', [squares, number(Math.max(1, D - 1))])]);
  const normalised = graph.op('Div', [rest, graph.op('Add', [scale, number(1e-5)])]);
  return { x, normalised, scale, shift };
}
