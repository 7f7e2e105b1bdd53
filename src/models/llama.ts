import { Failure } from '../common/failure.ts';
import type { Hook } from '../contracts/hooks.ts';
import { type ExternalData, Graph, type Value } from '../onnx/graph.ts';
import { hookWidth, isResidual, residualPoint } from './hooks.ts';
import { bufferShape, type KeysAndValues, layerBuffer, routed } from './lime.ts';
import type { GraphRequest, ModelConfig } from './model.ts';
import { cutHeads, padHeads, paddedWidth } from './paddedHeads.ts';
import { routeNorms, type RouterSet } from './routeNorms.ts';

/** Where each weight of the graph lies, by the names that `llamaWeights` gives. */
export type Weights = ReadonlyMap<string, ExternalData>;

/** Names of the tensors that go in and out of a session, besides the hooks' own. */
export const feeds = {
  /** Token ids, int64 (T). */
  ids: 'ids',
  /** In place of the ids: the residual stream where the graph begins (T, D). */
  residual: 'residual',
  /** Index of the last token, int32 (1). */
  lastIndex: 'lastIndex',
  /** Number of tokens, those of the cache included, int32. */
  length: 'length',
  /** Rotations of at least `length` positions, float32 (R, paddedWidth / 2). */
  cosines: 'cosines',
  sines: 'sines',
  /** The token that follows each token, int64 (T). */
  labels: 'labels',
  /** P, int64 (1). */
  predictions: 'predictions',
  pastKey: (layer: number) => `past.${layer}.key`,
  pastValue: (layer: number) => `past.${layer}.value`,
  /** LIMe: the buffer of a layer before the graph's first (T, KV, 2 headWidth). */
  buffer: (layer: number) => `before.${layer}.buffer`,
} as const;

export const fetches = {
  logits: 'logits',
  surprisal: 'surprisal',
  predictedIds: 'predictedIds',
  probabilities: 'probabilities',
  presentKey: (layer: number) => `present.${layer}.key`,
  presentValue: (layer: number) => `present.${layer}.value`,
  /** LIMe: the buffer of a layer of the graph (T, KV, 2 headWidth). */
  buffer: (layer: number) => `${layer}.buffer`,
  /** LIMe: |R_j V_j(t)| (T, KV, layer + 1), and |sum over s of A(t, s) R_j V_j(s)| (T, H, layer + 1). */
  memoryNorms: (layer: number, routers: RouterSet) => `${layer}.memory.${routers}`,
  outputNorms: (layer: number, routers: RouterSet) => `${layer}.output.${routers}`,
} as const;

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
 * The graph of a Llama or LIMe model, from the token ids or a residual hook to the deepest hook or the head.
 * Source: Touvron et al. 2023, arXiv 2302.13971; grouped queries: Ainslie et al. 2023, arXiv 2305.13245.
 */
export function buildLlama(config: ModelConfig, weights: Weights, request: GraphRequest): Uint8Array {
  refuseUnreachable(config, request);
  return new LlamaGraph(config, weights, request).build();
}

function refuseUnreachable(config: ModelConfig, request: GraphRequest): void {
  const { start } = pointsOf(config, request);
  const { from } = request;
  if (from !== undefined && !isResidual(from)) {
    throw new Failure('usage', `${from} cannot be replaced: only states of the residual stream can.`);
  }
  for (const hook of request.hooks) {
    const known = isResidual(hook) ? residualPoint(hook) >= start : residualPoint(hook) > start;
    if (!known) throw new Failure('usage', `${hook} lies before ${String(from)}, where the run begins.`);
  }
}

class LlamaGraph {
  private readonly graph = new Graph();
  private readonly config: ModelConfig;
  private readonly weights: Weights;
  private readonly request: GraphRequest;
  private rotary: readonly [Value, Value] | undefined;
  private lengths: readonly [Value, Value] | undefined;
  /** LIMe: of the layers so far, those before the graph's first included. */
  private buffers: Value[] | undefined;
  private readonly fedWeights = new Map<string, Value>();

  constructor(config: ModelConfig, weights: Weights, request: GraphRequest) {
    this.config = config;
    this.weights = weights;
    this.request = request;
  }

  build(): Uint8Array {
    const { start, end } = pointsOf(this.config, this.request);
    let x = this.beginning(); // (T, D)
    this.showResidual(x, start);
    for (let point = start; point < end; point++) {
      const layer = point >> 1;
      const added = point % 2 ? this.feedForward(x, layer) : this.attention(x, layer); // (T, D)
      this.show(added, `blocks.${layer}.${point % 2 ? 'hook_mlp_out' : 'hook_attn_out'}`);
      x = this.graph.op('Add', [x, added]);
      this.showResidual(x, point + 1);
    }
    if (this.request.head !== 'none') this.head(x);
    return this.graph.bytes();
  }

  private beginning(): Value {
    const { graph, config } = this;
    if (this.request.from !== undefined) {
      return graph.input(feeds.residual, 'float32', ['T', config.width]);
    }
    return graph.op('Gather', [this.weight('embed'), graph.input(feeds.ids, 'int64', ['T'])]); // (T, D)
  }

  /** Lets the state out under each of the names by which it was asked for. */
  private showResidual(x: Value, point: number): void {
    const names = this.request.hooks.filter(hook => isResidual(hook) && residualPoint(hook) === point);
    for (const hook of new Set(names)) this.graph.output(x, hook, 'float32', ['T', this.config.width]);
  }

  /** Lets an activation that is no state of the residual stream out, if it was asked for. */
  private show(activation: Value, hook: Hook): void {
    if (!this.request.hooks.includes(hook)) return;
    const width = hookWidth(hook, this.config);
    const rows = this.graph.op('Reshape', [activation, this.graph.int64([-1, width])]); // (T, width)
    this.graph.output(rows, hook, 'float32', ['T', width]);
  }

  private weight(name: string): Value {
    const data = this.weights.get(name);
    if (!data) throw new Failure('internal', `The graph needs the weight ${name}, which was not planned.`);
    if (this.request.fed?.has(name)) return this.fedWeight(name, data.shape);
    return this.graph.external(name, data);
  }

  private fedWeight(name: string, shape: readonly number[]): Value {
    let value = this.fedWeights.get(name);
    if (!value) this.fedWeights.set(name, (value = this.graph.input(name, 'float32', shape)));
    return value;
  }

  /** x W^T, for a weight of a row per output. */
  private linear(x: Value, name: string): Value {
    return this.graph.op('Gemm', [x, this.weight(name)], { transB: 1n });
  }

  /** x / sqrt(mean(x^2) + epsilon) times a gain. Source: Zhang and Sennrich 2019, arXiv 1910.07467. */
  private norm(x: Value, name: string): Value {
    return this.graph.op('SimplifiedLayerNormalization', [x, this.weight(name)], {
      axis: -1n,
      epsilon: { float: this.config.normEpsilon },
    });
  }

  private attention(x: Value, layer: number): Value {
    const { graph, config } = this;
    const { heads, keyValueHeads, headWidth } = config;
    const name = `blocks.${layer}` as const;
    const h = this.norm(x, `${name}.attentionNorm`); // (T, D)
    const one = (part: string, count: number) =>
      graph.op('Reshape', [
        this.linear(h, `${name}.${part}`),
        graph.int64([1, -1, count * headWidth]),
      ]); // (1, T, count * headWidth)
    const query = one('query', heads);
    const own = { key: one('key', keyValueHeads), value: one('value', keyValueHeads) };
    const { key, value } = config.architecture === 'lime' ? this.routed(own, layer) : own;
    this.show(query, `${name}.attn.hook_q`);
    this.show(key, `${name}.attn.hook_k`);
    this.show(value, `${name}.attn.hook_v`);
    const padded = [
      padHeads(graph, query, heads, headWidth),
      padHeads(graph, key, keyValueHeads, headWidth),
    ] as const;
    this.showRoutes(padded, layer);
    const [mixed, presentKey, presentValue] = graph.ops(
      3,
      'GroupQueryAttention',
      [
        ...padded,
        padHeads(graph, value, keyValueHeads, headWidth),
        ...this.past(layer),
        ...this.sequence(),
        ...this.rotaryTables(),
      ],
      {
        num_heads: BigInt(heads),
        kv_num_heads: BigInt(keyValueHeads),
        do_rotary: 1n,
        scale: { float: 1 / Math.sqrt(headWidth) },
      },
      'com.microsoft',
    );
    if (this.request.cache) {
      const shape = [1, keyValueHeads, 'S', paddedWidth(headWidth)];
      graph.output(presentKey, fetches.presentKey(layer), 'float32', shape);
      graph.output(presentValue, fetches.presentValue(layer), 'float32', shape);
    }
    const rows = cutHeads(graph, mixed, heads, headWidth); // (T, H * headWidth)
    this.show(rows, `${name}.attn.hook_z`);
    return this.linear(rows, `${name}.attentionOut`); // (T, D)
  }

  /** LIMe: what the layer's heads read in place of its own keys and values, which the first layer has alone. */
  private routed(own: KeysAndValues, layer: number): KeysAndValues {
    const { graph, config } = this;
    this.buffers ??= Array.from({ length: layer }, (_, before) =>
      graph.input(feeds.buffer(before), 'float32', bufferShape(config, 'T')),
    );
    const buffer = layerBuffer(graph, own, config);
    this.buffers.push(buffer);
    graph.output(buffer, fetches.buffer(layer), 'float32', bufferShape(config, 'T'));
    if (layer === 0) return own;
    return routed(graph, this.buffers, this.weight(`blocks.${layer}.router`), config);
  }

  /** LIMe: lets out what the heads take from each buffer, where that is asked of the layer. */
  private showRoutes(queryAndKey: readonly [Value, Value], layer: number): void {
    const { graph, config, request, buffers } = this;
    if (!request.routes?.layers.includes(layer) || !buffers) return;
    const routers: [RouterSet, Value][] = [['own', this.weight(`blocks.${layer}.router`)]];
    const instead = request.routes.instead?.get(layer);
    const shape = [config.keyValueHeads, (layer + 1) * config.keyValueHeads];
    if (instead) routers.push(['instead', graph.float32(instead, shape)]);
    for (const [set, norms] of routeNorms(graph, config, {
      queryAndKey,
      tables: this.rotaryTables(),
      buffers,
      routers,
    })) {
      const shapeOf = (heads: number) => ['T', heads, layer + 1];
      const { memory, output } = norms;
      graph.output(memory, fetches.memoryNorms(layer, set), 'float32', shapeOf(config.keyValueHeads));
      graph.output(output, fetches.outputNorms(layer, set), 'float32', shapeOf(config.heads));
    }
  }

  private past(layer: number): readonly (Value | undefined)[] {
    if (!this.request.cache) return [undefined, undefined];
    const shape = [1, this.config.keyValueHeads, 'P', paddedWidth(this.config.headWidth)];
    return [
      this.graph.input(feeds.pastKey(layer), 'float32', shape),
      this.graph.input(feeds.pastValue(layer), 'float32', shape),
    ];
  }

  private sequence(): readonly [Value, Value] {
    this.lengths ??= [
      this.graph.input(feeds.lastIndex, 'int32', [1]),
      this.graph.input(feeds.length, 'int32', []),
    ];
    return this.lengths;
  }

  private rotaryTables(): readonly [Value, Value] {
    const shape = ['R', paddedWidth(this.config.headWidth) / 2];
    this.rotary ??= [
      this.graph.input(feeds.cosines, 'float32', shape),
      this.graph.input(feeds.sines, 'float32', shape),
    ];
    return this.rotary;
  }

  /** W_down (silu(W_gate h) * W_up h). Source: Shazeer 2020, arXiv 2002.05202. */
  private feedForward(x: Value, layer: number): Value {
    const { graph } = this;
    const name = `blocks.${layer}`;
    const h = this.norm(x, `${name}.feedForwardNorm`); // (T, D)
    const gate = this.linear(h, `${name}.gate`); // (T, feedForward)
    const silu = graph.op('Mul', [gate, graph.op('Sigmoid', [gate])]);
    const product = graph.op('Mul', [silu, this.linear(h, `${name}.up`)]);
    return this.linear(product, `${name}.down`); // (T, D)
  }

  private head(x: Value): void {
    const unembed = this.config.tiedEmbedding ? 'embed' : 'unembed';
    const logits = this.linear(this.norm(x, 'finalNorm'), unembed); // (T, V)
    if (this.request.head === 'loss') this.loss(logits);
    else this.graph.output(logits, fetches.logits, 'float32', ['T', this.config.vocabulary]);
  }

  /** -log softmax(logits)[label] and the likeliest tokens, so that the logits (T, V) never leave onnxruntime. */
  private loss(logits: Value): void {
    const { graph } = this;
    const labels = graph.input(feeds.labels, 'int64', ['T']);
    const predictions = graph.input(feeds.predictions, 'int64', [1]);
    const [top, ids] = graph.ops(2, 'TopK', [logits, predictions]); // (T, P), (T, P)
    const softmax = graph.op('Softmax', [logits]); // (T, V)
    const probabilities = graph.op('GatherElements', [softmax, ids], { axis: 1n }); // (T, P)
    const first = (of: Value) => graph.op('Slice', [of, graph.int64([0]), graph.int64([1]), graph.int64([1])]); // (T, 1)
    // log sum exp: the largest logit less the logarithm of its own probability, which is at least 1 / V.
    const logSum = graph.op('Sub', [first(top), graph.op('Log', [first(probabilities)])]);
    const column = graph.op('Unsqueeze', [labels, graph.int64([1])]); // (T, 1)
    const picked = graph.op('GatherElements', [logits, column], { axis: 1n });
    const surprisal = graph.op('Squeeze', [graph.op('Sub', [logSum, picked]), graph.int64([1])]); // (T)
    graph.output(surprisal, fetches.surprisal, 'float32', ['T']);
    graph.output(ids, fetches.predictedIds, 'int64', ['T', 'predictions']);
    graph.output(probabilities, fetches.probabilities, 'float32', ['T', 'predictions']);
  }
}
