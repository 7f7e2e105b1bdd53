import type { Value } from '../onnx/graph.ts';
import type { DecoderGraph } from './decoderGraph.ts';
import { feeds, fetches } from './feeds.ts';

/** A decoder's end: the last state of the residual stream (T, D) to logits, or to surprisal and predictions. */
export function head(decoder: DecoderGraph, x: Value): void {
  const { config, request, graph } = decoder;
  const unembed = config.tiedEmbedding ? 'embed' : 'unembed';
  const plain = decoder.linear(decoder.norm(x, 'finalNorm'), unembed); // (T, V)
  const cap = config.departures?.logitSoftcap;
  const logits = cap === undefined ? plain : decoder.softcapped(plain, cap);
  if (request.head === 'loss') loss(decoder, logits);
  else graph.output(logits, fetches.logits, 'float32', ['T', config.vocabulary]);
}

/** -log softmax(logits)[label] and the likeliest tokens, so that the logits (T, V) never leave onnxruntime. */
function loss({ graph, request }: DecoderGraph, logits: Value): void {
  const labels = graph.input(feeds.labels, 'int64', ['T', 1]);
  const predictions =
    request.predictions === undefined
      ? graph.input(feeds.predictions, 'int64', [1])
      : graph.int64([request.predictions]);
  const [top, largest] = graph.ops(2, 'TopK', [logits, predictions]); // (T, P), (T, P)
  // An Identity beside another reader would stay, and WebGPU has none of int64.
  const ids = graph.outputInPlace(largest, fetches.predictedIds, 'int64', ['T', 'predictions']);
  const softmax = graph.op('Softmax', [logits]); // (T, V)
  const probabilities = graph.op('GatherElements', [softmax, ids], { axis: 1n }); // (T, P)
  const first = (of: Value) =>
    graph.op('Slice', [of, graph.int64([0]), graph.int64([1]), graph.int64([1])]); // (T, 1)
  // log sum exp: the largest logit less the logarithm of its own probability, which is at least 1 / V.
  const logSum = graph.op('Sub', [first(top), graph.op('Log', [first(probabilities)])]);
  const picked = graph.op('GatherElements', [logits, labels], { axis: 1n }); // (T, 1)
  const surprisal = graph.op('Squeeze', [graph.op('Sub', [logSum, picked]), graph.int64([1])]); // (T)
  graph.output(surprisal, fetches.surprisal, 'float32', ['T']);
  graph.output(probabilities, fetches.probabilities, 'float32', ['T', 'predictions']);
}
