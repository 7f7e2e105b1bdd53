import { Failure } from '../common/failure.ts';
import type { Hook } from '../contracts/hooks.ts';
import type { Value } from '../onnx/graph.ts';
import { Attention } from './attention.ts';
import { DecoderGraph, type Weights } from './decoderGraph.ts';
import { feedForward } from './feedForward.ts';
import { feeds } from './feeds.ts';
import { head } from './head.ts';
import { isResidual, residualPoint } from './hooks.ts';
import type { GraphRequest, ModelConfig } from './model.ts';

/** The layers whose keys and values a graph reads and gives. */
export function layersOf(config: ModelConfig, request: GraphRequest): { first: number; end: number } {
  const { start, end } = pointsOf(config, request);
  return { first: Math.ceil(start / 2), end: Math.ceil(end / 2) };
}

function pointsOf(config: ModelConfig, request: GraphRequest): { start: number; end: number } {
  const start = request.from === undefined ? 0 : residualPoint(request.from);
  const attended = request.routes?.layers.map(layer => 2 * layer + 1) ?? [];
  const deepest = Math.max(start, ...request.hooks.map(residualPoint), ...attended);
  return { start, end: request.head === 'none' ? deepest : 2 * config.layers };
}

/**
 * The graph of a decoder-only transformer, from the token ids or a residual hook to the deepest hook or the head. A
 * Llama (Touvron et al. 2023, arXiv 2302.13971) but for the configuration's departures and the weights that are there.
 */
export function buildDecoder(
  config: ModelConfig,
  weights: Weights,
  request: GraphRequest,
): Uint8Array {
  refuseUnreachable(config, request);
  const decoder = new DecoderGraph(config, weights, request);
  const layers = new Layers(decoder);
  const { start, end } = pointsOf(config, request);
  const x = layers.run(beginning(decoder), start, end); // (T, D)
  if (request.head !== 'none') head(decoder, x);
  return decoder.bytes();
}

function refuseUnreachable(config: ModelConfig, request: GraphRequest): void {
  const { start } = pointsOf(config, request);
  const { from, replaced } = request;
  if (from !== undefined && !isResidual(from)) {
    throw new Failure('usage', `${from} cannot be where a run begins: only states of the residual stream can.`);
  }
  if (start % 2 && config.departures?.parallel) {
    throw new Failure('usage', `${String(from)} is not all that the model goes on with: its layer's parts run side by side.`);
  }
  for (const hook of [...request.hooks, ...(replaced ? [replaced] : [])]) {
    const known = isResidual(hook) ? residualPoint(hook) >= start : residualPoint(hook) > start;
    if (!known) throw new Failure('usage', `${hook} lies before ${String(from)}, where the run begins.`);
  }
}

/** The state of the residual stream where the graph begins (T, D). */
function beginning(decoder: DecoderGraph): Value {
  const { graph, config, request } = decoder;
  if (request.from !== undefined) {
    return graph.input(feeds.residual, 'float32', ['T', config.width]);
  }
  const embedded = decoder.rows('embed', graph.input(feeds.ids, 'int64', ['T'])); // (T, D)
  const { embeddingScale, learnedPositions } = config.departures ?? {};
  const x = embeddingScale === undefined ? embedded : decoder.scaled(embedded, embeddingScale);
  if (!learnedPositions) return x;
  const positions = decoder.rows('positions', graph.input(feeds.positions, 'int64', ['T']));
  return graph.op('Add', [x, positions]);
}

class Layers {
  private readonly decoder: DecoderGraph;
  private readonly attention: Attention;

  constructor(decoder: DecoderGraph) {
    this.decoder = decoder;
    this.attention = new Attention(decoder);
  }

  /** From one state of the residual stream (T, D) to another. */
  run(from: Value, start: number, end: number): Value {
    const { graph, config } = this.decoder;
    let x = from;
    /** Where the layer began, which both parts of a parallel layer read. */
    let before = from;
    this.showResidual(x, start);
    for (let point = start; point < end; point++) {
      const layer = point >> 1;
      if (point % 2 === 0) before = x;
      const read = point % 2 && !config.departures?.parallel ? x : before;
      const added = point % 2 ? this.fedForward(read, layer) : this.attended(read, layer);
      x = graph.op('Add', [x, added]);
      this.showResidual(x, point + 1);
    }
    return x;
  }

  /** What a layer's attention adds to the residual stream (T, D). */
  private attended(x: Value, layer: number): Value {
    const name = `blocks.${layer}` as const;
    const h = this.normed(x, `${name}.attentionNorm`, `${name}.ln1.hook_normalized`);
    const out = this.normed(this.attention.of(h, layer), `${name}.attentionOutNorm`);
    return this.decoder.hook(out, `${name}.hook_attn_out`);
  }

  /** What a layer's feed-forward part adds to the residual stream (T, D). */
  private fedForward(x: Value, layer: number): Value {
    const name = `blocks.${layer}` as const;
    const h = this.normed(x, `${name}.feedForwardNorm`, `${name}.ln2.hook_normalized`);
    const out = this.normed(feedForward(this.decoder, h, layer), `${name}.feedForwardOutNorm`);
    return this.decoder.hook(out, `${name}.hook_mlp_out`);
  }

  /** Through the norm where the model has it. */
  private normed(x: Value, name: string, normalized?: Hook): Value {
    return this.decoder.has(name) ? this.decoder.norm(x, name, normalized) : x;
  }

  private showResidual(x: Value, point: number): void {
    const { hooks } = this.decoder.request;
    // Between parts that run side by side there is no state that the model goes on with.
    if (point % 2 && this.decoder.config.departures?.parallel) return;
    this.decoder.showResidual(
      x,
      hooks.filter(hook => isResidual(hook) && residualPoint(hook) === point),
    );
  }
}
