import type { Value } from '../onnx/graph.ts';
import type { DecoderGraph } from './decoderGraph.ts';
import type { Departures } from './model.ts';

/**
 * W_down (f(W_gate h) * W_up h), or W_down f(W_up h) in models without a gate; h (T, D), before any norm of what it
 * gives. Source: Shazeer 2020, arXiv 2002.05202.
 */
export function feedForward(decoder: DecoderGraph, h: Value, layer: number): Value {
  const { graph, config } = decoder;
  const name = `blocks.${layer}` as const;
  const input = decoder.hook(h, `${name}.mlp.hook_in`);
  const up = decoder.layerLinear(input, `${name}.up`); // (T, feedForward)
  const f = (x: Value) => activated(decoder, x, config.departures?.activation);
  const neurons = decoder.has(`${name}.gate`)
    ? graph.op('Mul', [f(decoder.layerLinear(input, `${name}.gate`)), up])
    : f(up);
  return decoder.layerLinear(decoder.hook(neurons, `${name}.mlp.hook_post`), `${name}.down`); // (T, D)
}

function activated({ graph }: DecoderGraph, x: Value, activation: Departures['activation']): Value {
  switch (activation) {
    case undefined:
      return graph.op('Mul', [x, graph.op('Sigmoid', [x])]); // silu
    case 'gelu':
      return graph.op('Gelu', [x], { approximate: 'none' });
    case 'geluTanh':
      return graph.op('Gelu', [x], { approximate: 'tanh' });
    case 'relu':
      return graph.op('Relu', [x]);
  }
}
