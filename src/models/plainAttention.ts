import type { Graph, Value } from '../onnx/graph.ts';
import { feeds } from './feeds.ts';
import type { ModelConfig } from './model.ts';
import { paddedWidth, rotaryColumns } from './paddedHeads.ts';
import { headShape } from './rotary.ts';

/** What a score becomes where a token may not look: its softmax is 0. */
const masked = -1e30;

/** One layer's attention, its heads padded as onnxruntime's own has them. */
export interface AttentionLayer {
  /** Not rotated: (1, T, H W), (1, T, KV W) twice, for W = paddedWidth. */
  readonly inputs: readonly [query: Value, key: Value, value: Value];
  /** (1, KV, P, W) each, where there is a cache, of whose tokens `feeds.pastLength` count. */
  readonly past: readonly [key: Value, value: Value] | undefined;
  /** Number of tokens with those of the cache, int32; undefined where there is none. */
  readonly length: Value | undefined;
  /** Cosines and sines (R, rotaryColumns); undefined where nothing is rotated. */
  readonly tables: readonly [Value, Value] | undefined;
  readonly scale: number;
  /** Tokens see only the last so many, themselves included. */
  readonly window: number | undefined;
  readonly softcap: number | undefined;
}

export interface Attended {
  readonly mixed: Value; // (1, T, H W)
  /** (1, KV, S, W) each. */
  readonly present: readonly [key: Value, value: Value];
  /** After the softmax: (1, H, T, S). */
  readonly weights: Value;
}

/**
 * What GroupQueryAttention computes, in ops that every device has: softmax(cap(scale q k^T) + mask) v. Sources: Ainslie
 * et al. 2023, arXiv 2305.13245; rotation: Su et al. 2021, arXiv 2104.09864, equation 34; cap: Gemma 2, arXiv 2408.00118,
 * section 2.
 */
export class PlainAttention {
  private readonly graph: Graph;
  private readonly config: ModelConfig;
  private tokenPlaces: Value | undefined;
  private counted: Value | undefined;
  /** By the window's length; 0: none. */
  private readonly masks = new Map<number, Value>();

  constructor(graph: Graph, config: ModelConfig) {
    this.graph = graph;
    this.config = config;
  }

  of(layer: AttentionLayer): Attended {
    const { graph } = this;
    const { heads: H, keyValueHeads: KV } = this.config;
    const W = paddedWidth(headShape(this.config));
    const [query, key, value] = layer.inputs;
    const q = this.reshaped(this.byHead(query, H, layer.tables), [KV, H / KV, -1, W]); // (KV, H / KV, T, W)
    const presentKey = this.joined(layer.past?.[0], this.byHead(key, KV, layer.tables)); // (1, KV, S, W)
    const presentValue = this.joined(layer.past?.[1], this.byHead(value, KV));
    const keys = graph.op('Transpose', [presentKey], { perm: [1n, 0n, 3n, 2n] }); // (KV, 1, W, S)
    const values = graph.op('Transpose', [presentValue], { perm: [1n, 0n, 2n, 3n] }); // (KV, 1, S, W)
    const products = this.scaled(graph.op('MatMul', [q, keys]), layer.scale); // (KV, H / KV, T, S)
    const scores = layer.softcap === undefined ? products : this.capped(products, layer.softcap);
    const mask = this.mask(layer.length, layer.window ?? 0);
    const weights = graph.op('Softmax', [graph.op('Add', [scores, mask])]);
    const mixed = this.reshaped(graph.op('MatMul', [weights, values]), [H, -1, W]); // (H, T, W)
    const rows = graph.op('Transpose', [mixed], { perm: [1n, 0n, 2n] });
    return {
      mixed: this.reshaped(rows, [1, -1, H * W]),
      present: [presentKey, presentValue],
      weights: this.reshaped(weights, [1, H, -1, 0]), // 0: S, as it is
    };
  }

  /** x (1, T, count W), turned where there are tables: (count, T, W). */
  private byHead(x: Value, count: number, tables?: AttentionLayer['tables']): Value {
    const W = paddedWidth(headShape(this.config));
    const heads = this.reshaped(x, [-1, count, W]);
    const turned = tables ? this.rotated(heads, tables) : heads;
    return this.graph.op('Transpose', [turned], { perm: [1n, 0n, 2n] });
  }

  /** Each pair (x[i], x[i + columns]) turned by the angle of its token, x (T, count, W). */
  private rotated(x: Value, tables: readonly [Value, Value]): Value {
    const { graph } = this;
    const W = paddedWidth(headShape(this.config));
    const columns = rotaryColumns(headShape(this.config));
    const [cosines, sines] = tables.map(table => graph.op('Gather', [table, this.places])) as [
      Value,
      Value,
    ]; // (T, 1, columns)
    const part = (from: number, to: number) =>
      graph.op('Slice', [x, ...[from, to, 2].map(bound => graph.int64([bound]))]);
    const [first, second] = [part(0, columns), part(columns, 2 * columns)];
    const product = (a: Value, b: Value) => graph.op('Mul', [a, b]);
    const turned = [
      graph.op('Sub', [product(first, cosines), product(second, sines)]),
      graph.op('Add', [product(second, cosines), product(first, sines)]),
      ...(2 * columns < W ? [part(2 * columns, W)] : []),
    ];
    return graph.op('Concat', turned, { axis: 2n });
  }

  /** With what counts of what is kept of earlier tokens: (KV, T, W) to (1, KV, S, W). */
  private joined(past: Value | undefined, own: Value): Value {
    const { graph, config } = this;
    const shape = [1, config.keyValueHeads, -1, paddedWidth(headShape(config))];
    const shaped = this.reshaped(own, shape);
    if (!past) return shaped;
    const counted = graph.op('Slice', [past, graph.int64([0]), this.pastLength, graph.int64([2])]);
    return graph.op('Concat', [counted, shaped], { axis: 2n });
  }

  /** 0 where a token may look, else a large negative number: (T, S). `length`: S, if it is not T. */
  private mask(length: Value | undefined, window: number): Value {
    const { graph } = this;
    const known = this.masks.get(window);
    if (known) return known;
    const all = length
      ? graph.op('Range', [graph.int32([0], []), length, graph.int32([1], [])]) // (S)
      : this.reshaped(this.places, [1, -1]); // (1, T): of a shape that is known without a run
    const behind = graph.op('GreaterOrEqual', [this.places, all]); // (T, S)
    const seen = window
      ? graph.op('And', [behind, this.isWithin(all, window)])
      : behind;
    const number = (value: number) => graph.float32(Float32Array.of(value), [1]);
    const mask = graph.op('Where', [seen, number(0), number(masked)]);
    this.masks.set(window, mask);
    return mask;
  }

  /** Whether the token at a place is no further back than the window: (T, S). */
  private isWithin(all: Value, window: number): Value {
    const { graph } = this;
    const distance = graph.op('Sub', [this.places, all]);
    return graph.op('Less', [distance, graph.int32([window])]);
  }

  private get pastLength(): Value {
    this.counted ??= this.graph.input(feeds.pastLength, 'int64', [1]);
    return this.counted;
  }

  /** Index of each token, int32 (T, 1). */
  private get places(): Value {
    this.tokenPlaces ??= this.graph.input(feeds.places, 'int32', ['T', 1]);
    return this.tokenPlaces;
  }

  private capped(x: Value, cap: number): Value {
    return this.scaled(this.graph.op('Tanh', [this.scaled(x, 1 / cap)]), cap);
  }

  private scaled(x: Value, factor: number): Value {
    return this.graph.op('Mul', [x, this.graph.float32(Float32Array.of(factor), [1])]);
  }

  private reshaped(x: Value, shape: readonly number[]): Value {
    return this.graph.op('Reshape', [x, this.graph.int64(shape)]);
  }
}
