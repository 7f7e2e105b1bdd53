import { Graph, type Value } from '../onnx/graph.ts';
import type { Dictionary } from './dictionary.ts';

/**
 * The encoder as an ONNX graph: `x` (T, D) to the K largest `activations` (T, K), descending, and their `features`
 * (T, K). Where fewer than K fire, the rest have activation 0.
 */
export function encoderGraph(dictionary: Dictionary, k: number): Uint8Array {
  const graph = new Graph();
  const { inputWidth: D } = dictionary;
  let x = graph.input('x', 'float32', ['T', D]);
  if (dictionary.subtractDecoderBias && dictionary.decoderBias) {
    x = graph.op('Sub', [x, graph.float32(dictionary.decoderBias, [D])]);
  }
  const activations = activationsOf(graph, dictionary, x); // (T, F)
  const [largest, features] = graph.ops(2, 'TopK', [activations, graph.int64([k])]);
  graph.output(graph.op('Relu', [largest]), 'activations', 'float32', ['T', k]);
  // int32, since JavaScript's arrays of 64-bit integers are slow.
  graph.output(graph.op('Cast', [features], { to: int32 }), 'features', 'int32', ['T', k]);
  return graph.bytes();
}

/** TensorProto.DataType.INT32 */
const int32 = 6n;

/** What the rule lets through before the K largest are taken and rectified, (T, F). */
function activationsOf(graph: Graph, dictionary: Dictionary, x: Value): Value {
  const { width: F, inputWidth: D, rule } = dictionary;
  const perFeature = (values: Float32Array) => graph.float32(values, [F]);
  const product = (bias: Float32Array) =>
    graph.op('Gemm', [x, graph.float32(dictionary.encoder, [F, D]), perFeature(bias)], {
      transB: 1n,
    });
  const zero = graph.float32(Float32Array.of(0), [1]);
  switch (rule.kind) {
    case 'relu':
    case 'topk':
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
