import { Failure } from '../common/failure.ts';
import type { Hook } from '../contracts/hooks.ts';
import { isResidual, residualPoint } from '../models/hooks.ts';
import { buildLlama, feeds, fetches, layersOf } from '../models/llama.ts';
import { bufferShape } from '../models/lime.ts';
import type { GraphRequest, ModelConfig } from '../models/model.ts';
import { paddedWidth } from '../models/paddedHeads.ts';
import { rotaryTables, type RotaryTables } from '../models/rotary.ts';
import type { KeyValueCache } from './keyValueCache.ts';
import { type CachedTensor } from './keyValueCache.ts';
import type { LayerBuffers } from './layerBuffers.ts';
import type { LoadedModel } from './loadModel.ts';
import {
  float32Tensor,
  float32Values,
  int32Tensor,
  int64Tensor,
  openSession,
  type Session,
  type Tensor,
} from './session.ts';

export interface SegmentInput {
  /** Token ids (T), or the residual stream where the segment begins (T, D). */
  readonly input: Uint32Array | Float32Array;
  readonly past: KeyValueCache | undefined;
  readonly keep: boolean;
  /** LIMe: of all layers before the segment, for these tokens. */
  readonly buffers: LayerBuffers;
  /** LIMe: whether to return the buffers of the segment's layers. */
  readonly keepBuffers: boolean;
}

export interface SegmentResult {
  readonly hooks: ReadonlyMap<Hook, Float32Array>; // (T, hookWidth) each
  /** The state of the residual stream where the segment ends (T, D). */
  readonly residual: Float32Array;
  readonly cache: KeyValueCache['tensors'];
  /** Of the segment's layers; empty unless asked for, and for models that do not route. */
  readonly buffers: LayerBuffers;
}

/** Tables are made for this many positions more than asked, so that growing texts seldom need new ones. */
const rotaryStep = 512;

/** A loaded stretch of a model's layers, with hooks. */
export class ModelSegment {
  private readonly session: Session;
  private readonly config: ModelConfig;
  private readonly request: GraphRequest;
  private readonly layers: readonly number[];
  private rotary: RotaryTables = {
    rows: 0,
    cosines: new Float32Array(0),
    sines: new Float32Array(0),
  };

  private constructor(session: Session, config: ModelConfig, request: GraphRequest) {
    this.session = session;
    this.config = config;
    this.request = request;
    const { first, end } = layersOf(config, request);
    this.layers = Array.from({ length: end - first }, (_, i) => first + i);
  }

  static async open(model: LoadedModel, request: GraphRequest): Promise<ModelSegment> {
    const graph = buildLlama(model.config, model.weights, request);
    const session = await openSession(graph, { threads: model.threads });
    return new ModelSegment(session, model.config, request);
  }

  async run(input: SegmentInput): Promise<SegmentResult> {
    const kept = input.keepBuffers && this.config.architecture === 'lime' ? this.layers : [];
    const names = [
      ...this.request.hooks,
      ...kept.map(layer => fetches.buffer(layer)),
      ...(input.keep ? this.cacheNames().map(name => name.out) : []),
    ];
    const outputs = await this.session.run(this.feeds(input), names);
    const hooks = new Map(this.request.hooks.map(hook => [hook, float32Values(outputs[hook])]));
    const [end] = this.request.hooks
      .filter(isResidual)
      .sort((a, b) => residualPoint(b) - residualPoint(a));
    const residual = end === undefined ? undefined : hooks.get(end);
    if (!residual) throw new Failure('internal', 'A segment of the model has no output.');
    return {
      hooks,
      residual,
      cache: input.keep ? this.kept(outputs) : new Map<string, CachedTensor>(),
      buffers: new Map(kept.map(layer => [layer, float32Values(outputs[fetches.buffer(layer)])])),
    };
  }

  dispose(): Promise<void> {
    return this.session.dispose();
  }

  private feeds(input: SegmentInput): Record<string, Tensor> {
    const { values, tokens } = this.beginning(input.input);
    if (this.layers.length === 0) return values;
    const past = input.past?.length ?? 0;
    const length = past + tokens;
    const { rows, cosines, sines } = this.rotaryFor(length);
    const shape = [rows, paddedWidth(this.config.headWidth) / 2];
    return {
      ...values,
      ...this.pastFeeds(input.past),
      ...this.bufferFeeds(input.buffers, tokens),
      [feeds.lastIndex]: int32Tensor([length - 1], [1]),
      [feeds.length]: int32Tensor([length], []),
      [feeds.cosines]: float32Tensor(cosines, shape),
      [feeds.sines]: float32Tensor(sines, shape),
    };
  }

  private beginning(input: Uint32Array | Float32Array): {
    values: Record<string, Tensor>;
    tokens: number;
  } {
    if (input instanceof Uint32Array) {
      return { values: { [feeds.ids]: int64Tensor(input, [input.length]) }, tokens: input.length };
    }
    const tokens = input.length / this.config.width;
    const residual = float32Tensor(input, [tokens, this.config.width]); // (T, D)
    return { values: { [feeds.residual]: residual }, tokens };
  }

  private pastFeeds(past: KeyValueCache | undefined): Record<string, Tensor> {
    const { keyValueHeads, headWidth } = this.config;
    const shape = [1, keyValueHeads, 0, paddedWidth(headWidth)];
    const none = float32Tensor(new Float32Array(0), shape);
    const values: Record<string, Tensor> = {};
    for (const { in: name, out } of this.cacheNames()) {
      const kept = past?.tensors.get(out);
      if (past && past.length > 0 && !kept) {
        throw new Failure(
          'mismatch',
          `The kept prefix has no ${out}: its run stopped at an earlier layer.`,
        );
      }
      values[name] = kept && past && past.length > 0 ? float32Tensor(kept.data, kept.shape) : none;
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

  private kept(outputs: Readonly<Record<string, Tensor>>): KeyValueCache['tensors'] {
    const tensors = new Map<string, CachedTensor>();
    for (const { out } of this.cacheNames()) {
      tensors.set(out, { data: float32Values(outputs[out]), shape: outputs[out]?.dims ?? [] });
    }
    return tensors;
  }

  /** Each kept tensor's name on the way in and on the way out. */
  private cacheNames(): { in: string; out: string }[] {
    return this.layers.flatMap(layer => [
      { in: feeds.pastKey(layer), out: fetches.presentKey(layer) },
      { in: feeds.pastValue(layer), out: fetches.presentValue(layer) },
    ]);
  }

  private rotaryFor(length: number): RotaryTables {
    if (this.rotary.rows < length) {
      const rows = Math.ceil(length / rotaryStep) * rotaryStep;
      const { headWidth, ropeTheta } = this.config;
      this.rotary = rotaryTables(headWidth, ropeTheta, rows, paddedWidth(headWidth) / 2);
    }
    return this.rotary;
  }
}
