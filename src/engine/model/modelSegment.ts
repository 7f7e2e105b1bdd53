import { Failure } from '../../common/failure.ts';
import type { Hook } from '../../contracts/hooks.ts';
import { isPattern, isResidual, residualPoint } from '../../models/hooks.ts';
import { buildDecoder, layersOf } from '../../models/decoder.ts';
import { feeds, fetches } from '../../models/feeds.ts';
import { bufferShape } from '../../models/lime.ts';
import type { GraphRequest, ModelConfig } from '../../models/model.ts';
import { keepsOutputs } from '../../onnx/devices.ts';
import { paddedWidth } from '../../models/paddedHeads.ts';
import { headShape } from '../../models/rotary.ts';
import { type Activations, activationsIn, rowsOf, tensorOf } from '../sessions/activations.ts';
import type { CachedTensors, KeyValueCache } from './keyValueCache.ts';
import type { LayerBuffers } from './layerBuffers.ts';
import { isFloat16, type LoadedModel, sessionOptions } from './loadModel.ts';
import { RotaryFeeds } from './rotaryFeeds.ts';
import { type GraphMaker, openSession, type Session } from '../sessions/session.ts';
import {
  float32Tensor,
  float32Values,
  int32Tensor,
  int64Tensor,
  type Tensor,
} from '../sessions/tensors.ts';

export interface SegmentInput {
  /** Token ids (T), or the residual stream where the segment begins (T, D). */
  readonly input: Uint32Array | Activations;
  /** Hooks whose rows stay on the device, and are disposed of by whoever asked. */
  readonly leave: ReadonlySet<Hook>;
  readonly past: KeyValueCache | undefined;
  readonly keep: boolean;
  /** Of the hook that the segment's request replaces (T, hookWidth). */
  readonly replacement?: Float32Array | undefined;
  /** LIMe: of all layers before the segment, for these tokens. */
  readonly buffers: LayerBuffers;
  /** LIMe: whether to return the buffers of the segment's layers. */
  readonly keepBuffers: boolean;
}

export interface SegmentResult {
  readonly hooks: ReadonlyMap<Hook, Activations>; // (T, hookWidth) each; patterns (H, T, S)
  /** The state of the residual stream where the segment ends (T, D). */
  readonly residual: Activations;
  readonly cache: CachedTensors;
  /** Of the segment's layers; empty unless asked for, and for models that do not route. */
  readonly buffers: LayerBuffers;
}

interface CacheName {
  readonly in: string;
  readonly out: string;
}

/** A loaded stretch of a model's layers, with hooks. */
export class ModelSegment {
  private readonly session: Session;
  private readonly config: ModelConfig;
  private readonly request: GraphRequest;
  private readonly layers: readonly number[];
  private readonly cacheNames: readonly CacheName[];
  private readonly rotary: RotaryFeeds;

  private constructor(session: Session, config: ModelConfig, request: GraphRequest) {
    this.session = session;
    this.config = config;
    this.rotary = new RotaryFeeds(config);
    this.request = request;
    this.layers = layersIn(config, request);
    this.cacheNames = cacheNames(config, request);
  }

  static async open(model: LoadedModel, request: GraphRequest): Promise<ModelSegment> {
    const { config, weights } = model;
    const { device } = model.on;
    const graph: GraphMaker = on =>
      buildDecoder(config, weights, { ...request, device, float16: isFloat16(model, on) });
    const left = keepsOutputs(device)
      ? [
          ...request.hooks.filter(isRows).map(fetches.left),
          ...cacheNames(config, request).map(({ out }) => out),
        ]
      : [];
    const session = await openSession(graph, { ...sessionOptions(model), left });
    return new ModelSegment(session, config, request);
  }

  async run(input: SegmentInput): Promise<SegmentResult> {
    const kept = input.keepBuffers && this.config.architecture === 'lime' ? this.layers : [];
    const nameOf = (hook: Hook) => (input.leave.has(hook) ? fetches.left(hook) : hook);
    const names = [
      ...this.request.hooks.map(nameOf),
      ...kept.map(layer => fetches.buffer(layer)),
      ...(input.keep ? this.cacheNames.map(({ out }) => out) : []),
    ];
    const outputs = await this.session.run(this.feeds(input), names);
    const hooks = new Map(
      this.request.hooks.map(hook => [hook, activationsIn(outputs[nameOf(hook)])]),
    );
    const residual = hooks.get(this.end);
    if (!residual) throw new Failure('internal', 'A segment of the model has no output.');
    return {
      hooks,
      residual,
      cache: new Map(
        input.keep ? this.cacheNames.map(({ out }) => [out, outputs[out] ?? missing(out)]) : [],
      ),
      buffers: new Map(kept.map(layer => [layer, float32Values(outputs[fetches.buffer(layer)])])),
    };
  }

  /** The state of the residual stream where it ends. */
  get end(): Hook {
    const [end] = this.request.hooks
      .filter(isResidual)
      .sort((a, b) => residualPoint(b) - residualPoint(a));
    if (end !== undefined) return end;
    throw new Failure('internal', 'A segment of the model has no end.');
  }

  dispose(): Promise<void> {
    return this.session.dispose();
  }

  private feeds(input: SegmentInput): Record<string, Tensor> {
    const { values: begun, tokens } = this.beginning(input.input);
    const values = { ...begun, ...this.replacement(input.replacement, tokens) };
    if (this.layers.length === 0) return values;
    const past = input.past?.length ?? 0;
    const length = past + tokens;
    return {
      ...values,
      ...this.positions(past, tokens),
      ...this.rotary.of(length, this.session),
      ...this.pastFeeds(input.past),
      ...this.bufferFeeds(input.buffers, tokens),
      ...this.lastIndex(length),
      [feeds.length]: int32Tensor([length], []),
      ...(this.session.takes(feeds.pastLength) && { [feeds.pastLength]: int64Tensor([past], [1]) }),
    };
  }

  private beginning(input: Uint32Array | Activations): {
    values: Record<string, Tensor>;
    tokens: number;
  } {
    if (input instanceof Uint32Array) {
      return { values: { [feeds.ids]: int64Tensor(input, [input.length]) }, tokens: input.length };
    }
    const { width } = this.config;
    const residual = tensorOf(input, width); // (T, D)
    return { values: { [feeds.residual]: residual }, tokens: rowsOf(input, width) };
  }

  private lastIndex(length: number): Record<string, Tensor> {
    if (!this.session.takes(feeds.lastIndex)) return {};
    return { [feeds.lastIndex]: int32Tensor([length - 1], [1]) };
  }

  private positions(past: number, tokens: number): Record<string, Tensor> {
    const { session } = this;
    const indices = Array.from({ length: tokens }, (_, t) => past + t);
    return {
      ...(session.takes(feeds.positions) && { [feeds.positions]: int64Tensor(indices, [tokens]) }),
      ...(session.takes(feeds.places) && { [feeds.places]: int32Tensor(indices, [tokens, 1]) }),
    };
  }

  private replacement(values: Float32Array | undefined, tokens: number): Record<string, Tensor> {
    if (!this.session.takes(feeds.replacement) || !values) return {};
    const width = values.length / tokens;
    return { [feeds.replacement]: float32Tensor(values, [tokens, width]) };
  }

  private pastFeeds(past: KeyValueCache | undefined): Record<string, Tensor> {
    const { keyValueHeads } = this.config;
    const shape = [1, keyValueHeads, 0, paddedWidth(headShape(this.config))];
    const none = float32Tensor(new Float32Array(0), shape);
    const values: Record<string, Tensor> = {};
    for (const { in: name, out } of this.cacheNames) {
      const kept = past?.tensors.get(out);
      if (past && past.length > 0 && !kept) {
        throw new Failure(
          'mismatch',
          `The kept prefix has no ${out}: its run stopped at an earlier layer.`,
        );
      }
      values[name] = kept && past && past.length > 0 ? kept : none;
    }
    return values;
  }

  private bufferFeeds(buffers: LayerBuffers, tokens: number): Record<string, Tensor> {
    const [first = 0] = this.layers;
    if (this.config.architecture !== 'lime') return {};
    const shape = bufferShape(this.config, tokens);
    const length = shape.reduce((product, size) => product * size, 1);
    const before = Array.from({ length: first }, (_, layer) => {
      const buffer = buffers.get(layer);
      if (buffer?.length === length) return [feeds.buffer(layer), float32Tensor(buffer, shape)];
      throw new Failure(
        'usage',
        `From layer ${first} on, a LIMe model reads the layers before it: of layer ${layer}, expected ${length} values, found ${buffer?.length ?? 'none'}.`,
      );
    });
    return Object.fromEntries(before) as Record<string, Tensor>;
  }
}

/** The layers whose keys and values the segment reads and gives. */
function layersIn(config: ModelConfig, request: GraphRequest): readonly number[] {
  const { first, end } = layersOf(config, request);
  return Array.from({ length: end - first }, (_, i) => first + i);
}

/** Each kept tensor's name on the way in and on the way out. */
function cacheNames(config: ModelConfig, request: GraphRequest): readonly CacheName[] {
  return layersIn(config, request).flatMap(layer => [
    { in: feeds.pastKey(layer), out: fetches.presentKey(layer) },
    { in: feeds.pastValue(layer), out: fetches.presentValue(layer) },
  ]);
}

function missing(name: string): never {
  throw new Failure('internal', `A segment of the model gave no ${name}.`);
}

function isRows(hook: Hook): boolean {
  return !isPattern(hook);
}
