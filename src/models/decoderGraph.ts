import { Failure } from '../common/failure.ts';
import type { Hook } from '../contracts/hooks.ts';
import { type ExternalData, Graph, type Value } from '../onnx/graph.ts';
import { keepsOutputs, lacks, type Lacks } from '../onnx/devices.ts';
import { feeds, fetches } from './feeds.ts';
import { hookWidth } from './hooks.ts';
import type { GraphRequest, ModelConfig } from './model.ts';

/** Where each weight of the graph lies, by the names that the architectures give. */
export type Weights = ReadonlyMap<string, ExternalData>;

/** A model's graph under construction: its weights as values, and its hooks. */
export class DecoderGraph {
  readonly graph = new Graph();
  readonly config: ModelConfig;
  readonly request: GraphRequest;
  private readonly weights: Weights;
  private readonly fedWeights = new Map<string, Value>();
  private readonly converted = new Map<string, Value>();
  private readonly halves = new Map<string, Value>();
  private readonly shown = new Set<Hook>();

  constructor(config: ModelConfig, weights: Weights, request: Pick<GraphRequest, 'hooks'> & Partial<GraphRequest>) {
    this.config = config;
    this.weights = weights;
    this.request = { head: 'none', cache: false, ...request };
  }

  /** What the device lacks that the graph is for. */
  get lacks(): Lacks {
    return lacks[this.request.device ?? 'cpu'];
  }

  has(name: string): boolean {
    return this.weights.has(name);
  }

  /** The length of a weight's last dimension. */
  lengthOf(name: string): number {
    return this.stored(name).shape.at(-1) ?? 1;
  }

  /** The weight as float32. */
  weight(name: string): Value {
    const { shape, type } = this.stored(name);
    if (this.request.fed?.has(name)) return this.fedWeight(name, shape);
    let value = this.converted.get(name);
    if (!value) {
      value = this.graph.asFloat32(this.graph.external(name, this.stored(name)), type);
      this.converted.set(name, value);
    }
    return value;
  }

  /** Rows of a matrix by their indices (T): only they are converted, where the device can. */
  rows(name: string, indices: Value): Value {
    const { type } = this.stored(name);
    if (type === undefined || type === 'float32' || this.lacks.sixteenBits) {
      return this.graph.op('Gather', [this.weight(name), indices]);
    }
    const stored = this.graph.external(name, this.stored(name));
    return this.graph.asFloat32(this.graph.op('Gather', [stored, indices]), type);
  }

  /** x W^T + b, for a weight of a row per output; b where it is there. */
  linear(x: Value, name: string, transposed = false): Value {
    const { graph } = this;
    const bias = this.has(`${name}.bias`) ? [this.weight(`${name}.bias`)] : [];
    const layout = transposed ? {} : { transB: 1n };
    if (!this.request.float16) return graph.op('Gemm', [x, this.matrix(name, x), ...bias], layout);
    const product = graph.op('Gemm', [graph.asFloat16(x), this.half(name)], layout);
    const wide = graph.asFloat32(product, 'float16');
    return bias[0] ? graph.op('Add', [wide, bias[0]]) : wide;
  }

  /** A matrix in float16: as it lies in its file, or rounded once, when the session opens. */
  private half(name: string): Value {
    const stored = this.stored(name);
    if (stored.type === 'float16') return this.graph.external(name, stored);
    let value = this.halves.get(name);
    if (!value) this.halves.set(name, (value = this.graph.asFloat16(this.weight(name))));
    return value;
  }

  /** A linear map of a layer, which some files hold transposed. */
  layerLinear(x: Value, name: string): Value {
    return this.linear(x, name, this.config.departures?.layout?.transposed === true);
  }

  /**
   * The norm of the rows of x, times a gain; `normalized` is the hook of what is before the gain. RMS: x / sqrt(mean(x^2) + epsilon),
   * Zhang and Sennrich 2019, arXiv 1910.07467; LayerNorm: Ba et al. 2016, arXiv 1607.06450.
   */
  norm(x: Value, name: string, normalized?: Hook): Value {
    const { graph } = this;
    const gain = this.gain(name);
    const isAsked = normalized !== undefined && this.isHooked(normalized);
    if (this.config.departures?.norm === 'layer') {
      const bias = this.has(`${name}.bias`) ? this.weight(`${name}.bias`) : undefined;
      if (!isAsked) return graph.op('LayerNormalization', [x, gain, ...(bias ? [bias] : [])], this.epsilon);
      const one = graph.op('LayerNormalization', [x, this.ones(name)], this.epsilon);
      const scaled = graph.op('Mul', [this.hook(one, normalized), gain]);
      return bias ? graph.op('Add', [scaled, bias]) : scaled;
    }
    if (!isAsked) return graph.op('SimplifiedLayerNormalization', [x, gain], this.epsilon);
    const one = graph.op('SimplifiedLayerNormalization', [x, this.ones(name)], this.epsilon);
    return graph.op('Mul', [this.hook(one, normalized), gain]);
  }

  /**
   * A matrix as float32. One in 16 bits is converted only once its factor x is there, to whose shape its own is tied by
   * zeros: else every matrix of the graph would be converted at the start. Measured on 1 GB: 1.4 GB at most, not 2.6.
   */
  private matrix(name: string, x: Value): Value {
    const { shape, type } = this.stored(name);
    // What is differentiated keeps shapes that are known beforehand.
    const isPlain = this.request.fed !== undefined || this.lacks.sixteenBits === true;
    if (type === undefined || type === 'float32' || isPlain) return this.weight(name);
    const { graph } = this;
    const zeros = graph.op('Mul', [graph.op('Shape', [x]), graph.int64([0])]);
    const own = graph.op('Add', [zeros, graph.int64(shape)]);
    const stored = graph.external(name, this.stored(name));
    return graph.asFloat32(graph.op('Reshape', [stored, own]), type);
  }

  /** What a norm multiplies with (length of the weight). */
  gain(name: string): Value {
    const weight = this.weight(name);
    if (this.config.departures?.norm !== 'onePlus') return weight;
    return this.graph.op('Add', [weight, this.graph.float32(Float32Array.of(1), [1])]);
  }

  scaled(x: Value, factor: number): Value {
    return this.graph.op('Mul', [x, this.graph.float32(Float32Array.of(factor), [1])]);
  }

  /** cap tanh(x / cap). Source: Gemma 2, arXiv 2408.00118, section 2. */
  softcapped(x: Value, cap: number): Value {
    return this.scaled(this.graph.op('Tanh', [this.scaled(x, 1 / cap)]), cap);
  }

  /**
   * Lets an activation out, if it was asked for, and gives what the model goes on with: what came in for it, if it is
   * replaced. `shape`: what the graph goes on with, where that is not rows.
   */
  hook(activation: Value, hook: Hook, shape?: readonly number[]): Value {
    const { graph, request } = this;
    const width = hookWidth(hook, this.config);
    this.shown.add(hook);
    if (request.replaced === hook) {
      const rows = graph.input(feeds.replacement, 'float32', ['T', width]);
      return shape ? graph.op('Reshape', [rows, graph.int64(shape)]) : rows;
    }
    if (request.hooks.includes(hook)) {
      const rows = graph.op('Reshape', [activation, graph.int64([-1, width])]); // (T, width)
      this.showRows(rows, hook, width);
    }
    return activation;
  }

  /** Lets the state of the residual stream out under each of the names by which it was asked for. */
  showResidual(x: Value, names: Iterable<Hook>): void {
    for (const hook of new Set(names)) {
      this.showRows(x, hook, this.config.width);
      this.shown.add(hook);
    }
  }

  /** Under the hook's name, and under another where the device can keep them: each run chooses. */
  private showRows(rows: Value, hook: Hook, width: number): void {
    this.graph.output(rows, hook, 'float32', ['T', width]);
    if (!keepsOutputs(this.request.device ?? 'cpu')) return;
    this.graph.outputLeft(rows, fetches.left(hook), 'float32', ['T', width]);
  }

  /** For the attention's pattern, which is no row per token. */
  markShown(hook: Hook): void {
    this.shown.add(hook);
  }

  isHooked(hook: Hook): boolean {
    return this.request.hooks.includes(hook) || this.request.replaced === hook;
  }

  /** The model; refuses where a hook was asked for that the architecture does not have. */
  bytes(): Uint8Array {
    const { hooks, replaced } = this.request;
    const missing = [...hooks, ...(replaced ? [replaced] : [])].find(hook => !this.shown.has(hook));
    if (missing === undefined) return this.graph.bytes();
    throw new Failure('usage', `A model of the architecture ${this.config.architecture} has no ${missing}.`);
  }

  private get epsilon() {
    return { axis: -1n, epsilon: { float: this.config.normEpsilon } };
  }

  private ones(name: string): Value {
    const length = this.lengthOf(name);
    return this.graph.float32(new Float32Array(length).fill(1), [length]);
  }

  private stored(name: string): ExternalData {
    const data = this.weights.get(name);
    if (data) return data;
    throw new Failure('internal', `The graph needs the weight ${name}, which was not planned.`);
  }

  private fedWeight(name: string, shape: readonly number[]): Value {
    let value = this.fedWeights.get(name);
    if (!value) this.fedWeights.set(name, (value = this.graph.input(name, 'float32', shape)));
    return value;
  }
}
