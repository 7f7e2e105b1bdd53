import type { Device } from '../contracts/engine.ts';
import { lacks } from '../onnx/devices.ts';
import { Graph, type Value } from '../onnx/graph.ts';
import { outputWidthOf, type Dictionary } from './dictionary.ts';
import { normalisedInput } from './inputNorm.ts';

export interface EncoderGraphOptions {
  /** The encoder's weights come in as `encoder` (F, D) with each run, and are in memory once. */
  readonly fed?: boolean;
  readonly device?: Device;
}

/** Whether a device can run the encoder: groupmax calculates with the numbers of features. */
export function runsOn(device: Device, { rule }: Dictionary): boolean {
  return rule.kind !== 'groupmax' || lacks[device].int64 !== true;
}

/**
 * The encoder as an ONNX graph: `x` (T, D) to the K largest `activations` (T, K), descending, and their `features`
 * (T, K). Where fewer than K fire, the rest have activation 0. Where a token's reconstruction is not simply the decoder's
 * bias and rows, also `scale` (T, 1) and `start` (T, O), as in `Encoding`.
 */
export function encoderGraph(
  dictionary: Dictionary,
  k: number,
  { fed = false, device = 'cpu' }: EncoderGraphOptions = {},
): Uint8Array {
  const graph = new Graph();
  const { inputWidth: D, width: F } = dictionary;
  const encoder = fed
    ? graph.input('encoder', 'float32', [F, D])
    : graph.float32(dictionary.encoder, [F, D]);
  const given = graph.input('x', 'float32', ['T', D]);
  const { largest, features, scale, start } = encoded(graph, dictionary, { given, encoder }, k);
  graph.output(graph.op('Relu', [largest]), 'activations', 'float32', ['T', k]);
  if (lacks[device].int64) graph.output(features, 'features', 'int64', ['T', k]);
  // int32 where it can be, since JavaScript's arrays of 64-bit integers are slow.
  else graph.output(graph.op('Cast', [features], { to: int32 }), 'features', 'int32', ['T', k]);
  if (scale) graph.output(scale, 'scale', 'float32', ['T', 1]);
  if (start) graph.output(start, 'start', 'float32', ['T', outputWidthOf(dictionary)]);
  return graph.bytes();
}

/** An encoding in a graph; `scale` and `start` as in `Encoding`. */
export interface Encoded {
  /** As the SAE knows it (T, D). */
  readonly x: Value;
  /** Not yet rectified, descending, and their features (T, K). */
  readonly largest: Value;
  readonly features: Value;
  readonly scale: Value | undefined; // (T, 1)
  readonly start: Value | undefined; // (T, O)
}

/** How many features are kept per token: K, or what becomes K (1) of the pre-activations of which they are the largest (T, F). */
export type Kept = number | ((candidates: Value) => Value);

/** Adds the encoding of `given` (T, D) to the graph. */
export function encoded(
  graph: Graph,
  dictionary: Dictionary,
  { given, encoder }: { readonly given: Value; readonly encoder: Value },
  k: Kept,
): Encoded {
  const { x, normalised, scale, shift } = normalisedInput(graph, dictionary, given);
  const { subtractDecoderBias, decoderBias, inputWidth: D } = dictionary;
  const read =
    subtractDecoderBias && decoderBias
      ? graph.op('Sub', [normalised, graph.float32(decoderBias, [D])])
      : normalised;
  const [largest, features] = strongestOf(graph, dictionary, { x: read, encoder }, k); // (T, K)
  // What a transcoder writes is not of the activation that was normalised.
  const back = dictionary.output ? {} : { scale, shift };
  return { x, largest, features, scale: back.scale, start: startOf(graph, dictionary, x, back) };
}

/** The reconstruction before any feature, (T, O); undefined where it is the decoder's bias for every token. */
function startOf(
  graph: Graph,
  dictionary: Dictionary,
  x: Value,
  { scale, shift }: { readonly scale?: Value | undefined; readonly shift?: Value | undefined },
): Value | undefined {
  const { skip, decoderBias, inputWidth: D } = dictionary;
  const O = outputWidthOf(dictionary);
  if (!skip && !scale) return undefined;
  let start = graph.float32(decoderBias ?? new Float32Array(O), [1, O]);
  if (scale) start = graph.op('Mul', [start, scale]); // (T, O)
  if (shift) start = graph.op('Add', [start, shift]);
  if (skip) {
    const linear = graph.op('Gemm', [x, graph.float32(skip, [O, D])], { transB: 1n });
    start = graph.op('Add', [linear, start]);
  }
  return start;
}

interface EncoderInputs {
  readonly x: Value; // (T, D)
  readonly encoder: Value; // (F, D)
}

/** Values and numbers of the K strongest features, (T, K) each, descending. */
function strongestOf(
  graph: Graph,
  dictionary: Dictionary,
  inputs: EncoderInputs,
  k: Kept,
): [Value, Value] {
  const activations = activationsOf(graph, dictionary, inputs); // (T, F)
  const { rule, width: F } = dictionary;
  const strongest = (of: Value) =>
    graph.ops(2, 'TopK', [of, typeof k === 'number' ? graph.int64([k]) : k(of)]);
  if (rule.kind !== 'groupmax') {
    const [largest, features] = strongest(activations);
    return [largest, features];
  }
  const { groups: G } = rule;
  const grouped = graph.op('Reshape', [activations, graph.int64([-1, G, F / G])]);
  const [best, place] = graph.ops(2, 'TopK', [grouped, graph.int64([1])]); // (T, G, 1)
  const flat = graph.int64([-1, G]);
  const first = Array.from({ length: G }, (_, group) => (group * F) / G);
  const numbers = graph.op('Add', [graph.op('Reshape', [place, flat]), graph.int64(first)]);
  const [largest, order] = strongest(graph.op('Reshape', [best, flat]));
  return [largest, graph.op('GatherElements', [numbers, order], { axis: 1n })];
}

/** TensorProto.DataType.INT32 */
const int32 = 6n;

/** What the rule lets through before the K largest are taken and rectified, (T, F). */
function activationsOf(graph: Graph, dictionary: Dictionary, { x, encoder }: EncoderInputs): Value {
  const { width: F, rule } = dictionary;
  const perFeature = (values: Float32Array) => graph.float32(values, [F]);
  const product = (bias: Float32Array) =>
    graph.op('Gemm', [x, encoder, perFeature(bias)], { transB: 1n });
  const zero = graph.float32(Float32Array.of(0), [1]);
  switch (rule.kind) {
    case 'relu':
    case 'topk':
    case 'groupmax':
      return product(dictionary.encoderBias);
    case 'jumprelu': {
      const h = product(dictionary.encoderBias);
      const above = graph.op('Greater', [h, perFeature(rule.threshold)]);
      return graph.op('Where', [above, h, zero]);
    }
    case 'gated': {
      // Rajamanoharan et al. 2024, equations 6 and 7: both paths share W_enc x.
      const h = product(new Float32Array(F));
      const open = graph.op('Greater', [
        graph.op('Add', [h, perFeature(dictionary.encoderBias)]),
        zero,
      ]);
      const scaled = graph.op('Mul', [h, perFeature(rule.rMag.map(Math.exp))]);
      const magnitude = graph.op('Add', [scaled, perFeature(rule.bMag)]);
      return graph.op('Where', [open, magnitude, zero]);
    }
  }
}
