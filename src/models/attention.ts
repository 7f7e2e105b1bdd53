import type { Value } from '../onnx/graph.ts';
import { keepsOutputs } from '../onnx/devices.ts';
import type { DecoderGraph } from './decoderGraph.ts';
import { feeds, fetches } from './feeds.ts';
import { bufferShape, type KeysAndValues, layerBuffer, routed } from './lime.ts';
import { cutHeads, padHeads, paddedWidth, rotaryColumns } from './paddedHeads.ts';
import { type Attended, PlainAttention } from './plainAttention.ts';
import { headShape, rotationIndex, rotationsOf } from './rotary.ts';
import { routeNorms, type RouterSet } from './routeNorms.ts';

/** One layer's queries, keys and values, before norm and rotation: (1, T, H headWidth), (1, T, KV headWidth) twice. */
interface Projections extends KeysAndValues {
  readonly query: Value;
}

/** Padded: (1, T, H paddedWidth), (1, T, KV paddedWidth) twice. */
type Heads = readonly [query: Value, key: Value, value: Value];

/** The attention of a model's layers. Grouped queries: Ainslie et al. 2023, arXiv 2305.13245. */
export class Attention {
  private readonly decoder: DecoderGraph;
  private readonly tables = new Map<number, readonly [Value, Value]>();
  private readonly plain: PlainAttention;
  private last: Value | undefined;
  private tokens: Value | undefined;
  /** LIMe: of the layers so far, those before the graph's first included. */
  private buffers: Value[] | undefined;

  constructor(decoder: DecoderGraph) {
    this.decoder = decoder;
    this.plain = new PlainAttention(decoder.graph, decoder.config);
  }

  /** What a layer's attention gives for its input h (T, D), before any norm of it: (T, D). */
  of(h: Value, layer: number): Value {
    const { decoder } = this;
    const { graph, config } = decoder;
    const { heads, keyValueHeads } = config;
    const name = `blocks.${layer}` as const;
    const own = this.hooked(this.projections(h, layer), layer);
    const query = this.normed(own.query, `${name}.queryNorm`, heads);
    const key = this.normed(own.key, `${name}.keyNorm`, keyValueHeads);
    const head = headShape(config);
    const padded = [
      padHeads(graph, query, heads, head),
      padHeads(graph, key, keyValueHeads, head),
    ] as const;
    this.showRoutes(padded, layer);
    const mixed = this.mixed([...padded, padHeads(graph, own.value, keyValueHeads, head)], layer);
    const rows = decoder.hook(cutHeads(graph, mixed, heads, head), `${name}.attn.hook_z`); // (T, H headWidth)
    return decoder.layerLinear(rows, `${name}.attentionOut`);
  }

  private projections(h: Value, layer: number): Projections {
    const { decoder } = this;
    const { graph, config } = decoder;
    const { heads, keyValueHeads, headWidth } = config;
    const name = `blocks.${layer}`;
    const packed = config.departures?.layout?.packed;
    const shaped = (x: Value, count: number) =>
      graph.op('Reshape', [x, graph.int64([1, -1, count * headWidth])]);
    if (!packed) {
      const one = (part: string, count: number) =>
        shaped(decoder.layerLinear(h, `${name}.${part}`), count);
      return {
        query: one('query', heads),
        key: one('key', keyValueHeads),
        value: one('value', keyValueHeads),
      };
    }
    const all = decoder.layerLinear(h, `${name}.queryKeyValue`); // (T, 3 H headWidth)
    // Either (q, k, v) of all heads, or head after head.
    const order = packed === 'parts' ? [-1, 3, heads * headWidth] : [-1, heads, 3, headWidth];
    const split = graph.op('Reshape', [all, graph.int64(order)]);
    const axis = packed === 'parts' ? 1n : 2n;
    const [query, key, value] = graph.ops(3, 'Split', [split], { axis, num_outputs: 3n });
    return {
      query: shaped(query, heads),
      key: shaped(key, heads),
      value: shaped(value, heads),
    };
  }

  /** Routed, if the model is a LIMe model, and shown or replaced at the hooks. */
  private hooked(own: Projections, layer: number): Projections {
    const { decoder } = this;
    const { heads, keyValueHeads, headWidth, architecture } = decoder.config;
    const { key, value } = architecture === 'lime' ? this.routed(own, layer) : own;
    const shape = (count: number) => [1, -1, count * headWidth];
    const name = `blocks.${layer}.attn` as const;
    return {
      query: decoder.hook(own.query, `${name}.hook_q`, shape(heads)),
      key: decoder.hook(key, `${name}.hook_k`, shape(keyValueHeads)),
      value: decoder.hook(value, `${name}.hook_v`, shape(keyValueHeads)),
    };
  }

  /** Qwen 3 and Gemma 3 norm each head, OLMo 2 all of them together; most models neither. */
  private normed(x: Value, name: string, count: number): Value {
    const { decoder } = this;
    if (!decoder.has(name)) return x;
    const { headWidth } = decoder.config;
    const length = decoder.lengthOf(name);
    const { graph } = decoder;
    const shapeOfRows = graph.int64([-1, (count * headWidth) / length, length]);
    const rows = graph.op('Reshape', [x, shapeOfRows]); // (T, count headWidth / length, length)
    const shape = graph.int64([1, -1, count * headWidth]);
    return graph.op('Reshape', [decoder.norm(rows, name), shape]);
  }

  /** What each head mixes of the values, (1, T, H paddedWidth). */
  private mixed(inputs: Heads, layer: number): Value {
    const { decoder } = this;
    const { graph, config, request } = decoder;
    const pattern = `blocks.${layer}.attn.hook_pattern` as const;
    const wantsWeights = request.hooks.includes(pattern);
    const { mixed, present, weights } = decoder.lacks.attention
      ? this.plainly(inputs, layer)
      : this.fused(inputs, layer, wantsWeights);
    if (request.cache) {
      const shape = [1, config.keyValueHeads, 'S', paddedWidth(headShape(config))];
      const left = keepsOutputs(request.device ?? 'cpu');
      graph.outputInPlace(present[0], fetches.presentKey(layer), 'float32', shape, left);
      graph.outputInPlace(present[1], fetches.presentValue(layer), 'float32', shape, left);
    }
    if (wantsWeights && weights) {
      graph.output(weights, pattern, 'float32', [1, config.heads, 'T', 'S']);
      decoder.markShown(pattern);
    }
    return mixed;
  }

  private plainly(inputs: Heads, layer: number): Attended {
    const { config } = this.decoder;
    const window = config.departures?.window;
    const [cosines, sines] = this.rotaryTables(rotationIndex(config, layer));
    const [pastKey, pastValue] = this.past(layer);
    return this.plain.of({
      inputs,
      past: pastKey && pastValue ? [pastKey, pastValue] : undefined,
      length: pastKey && this.length,
      tables: cosines && sines ? [cosines, sines] : undefined,
      scale: this.scale(layer),
      window: window?.layers[layer] ? window.tokens : undefined,
      softcap: config.departures?.attentionSoftcap,
    });
  }

  private fused(
    inputs: Heads,
    layer: number,
    wantsWeights: boolean,
  ): Omit<Attended, 'weights'> & { readonly weights: Value | undefined } {
    const { graph, config } = this.decoder;
    const { heads, keyValueHeads, departures } = config;
    const rotation = rotationIndex(config, layer);
    const window = departures?.window;
    const softcap = departures?.attentionSoftcap;
    const [mixed, key, value, weights] = graph.outputsOf(
      wantsWeights ? 4 : 3,
      'GroupQueryAttention',
      [
        ...[...inputs, ...this.past(layer), this.lastIndex, this.length],
        ...this.rotaryTables(rotation),
      ],
      {
        num_heads: BigInt(heads),
        kv_num_heads: BigInt(keyValueHeads),
        do_rotary: rotationsOf(config).length > 0 ? 1n : 0n,
        scale: { float: this.scale(layer) },
        ...(window?.layers[layer] && { local_window_size: BigInt(window.tokens) }),
        ...(softcap !== undefined && { softcap: { float: softcap } }),
        // 2: the weights after the softmax.
        ...(wantsWeights && { qk_output: 2n }),
      },
      'com.microsoft',
    ) as [Value, Value, Value, Value | undefined];
    return { mixed, present: [key, value], weights };
  }

  private scale(layer: number): number {
    const { headWidth, departures } = this.decoder.config;
    const scale = departures?.attentionScale ?? 1 / Math.sqrt(headWidth);
    return departures?.inverseLayerScale ? scale / (layer + 1) : scale;
  }

  /** LIMe: what the layer's heads read in place of its own keys and values, which the first layer has alone. */
  private routed(own: KeysAndValues, layer: number): KeysAndValues {
    const { graph, config } = this.decoder;
    this.buffers ??= Array.from({ length: layer }, (_, before) =>
      graph.input(feeds.buffer(before), 'float32', bufferShape(config, 'T')),
    );
    const buffer = layerBuffer(graph, own, config);
    this.buffers.push(buffer);
    graph.output(buffer, fetches.buffer(layer), 'float32', bufferShape(config, 'T'));
    if (layer === 0) return own;
    return routed(graph, this.buffers, this.decoder.weight(`blocks.${layer}.router`), config);
  }

  /** LIMe: lets out what the heads take from each buffer, where that is asked of the layer. */
  private showRoutes(queryAndKey: readonly [Value, Value], layer: number): void {
    const { decoder, buffers } = this;
    const { graph, config, request } = decoder;
    if (!request.routes?.layers.includes(layer) || !buffers) return;
    const [cosines, sines] = this.rotaryTables(rotationIndex(config, layer));
    if (!cosines || !sines) return;
    const routers: [RouterSet, Value][] = [['own', decoder.weight(`blocks.${layer}.router`)]];
    const instead = request.routes.instead?.get(layer);
    const shape = [config.keyValueHeads, (layer + 1) * config.keyValueHeads];
    if (instead) routers.push(['instead', graph.float32(instead, shape)]);
    const tables = [cosines, sines] as const;
    for (const [set, norms] of routeNorms(graph, config, { queryAndKey, tables, buffers, routers })) {
      const shapeOf = (heads: number) => ['T', heads, layer + 1];
      const { memory, output } = norms;
      graph.output(memory, fetches.memoryNorms(layer, set), 'float32', shapeOf(config.keyValueHeads));
      graph.output(output, fetches.outputNorms(layer, set), 'float32', shapeOf(config.heads));
    }
  }

  private past(layer: number): readonly (Value | undefined)[] {
    const { graph, config, request } = this.decoder;
    if (!request.cache) return [undefined, undefined];
    const shape = [1, config.keyValueHeads, 'P', paddedWidth(headShape(config))];
    return [
      graph.input(feeds.pastKey(layer), 'float32', shape),
      graph.input(feeds.pastValue(layer), 'float32', shape),
    ];
  }

  private get lastIndex(): Value {
    this.last ??= this.decoder.graph.input(feeds.lastIndex, 'int32', [1]);
    return this.last;
  }

  private get length(): Value {
    this.tokens ??= this.decoder.graph.input(feeds.length, 'int32', []);
    return this.tokens;
  }

  /** Empty where the positions are learned. */
  private rotaryTables(rotation: number): readonly Value[] {
    const { graph, config } = this.decoder;
    if (rotationsOf(config).length === 0) return [];
    let tables = this.tables.get(rotation);
    if (!tables) {
      const shape = ['R', rotaryColumns(headShape(config))];
      tables = [
        graph.input(feeds.cosines(rotation), 'float32', shape),
        graph.input(feeds.sines(rotation), 'float32', shape),
      ];
      this.tables.set(rotation, tables);
    }
    return tables;
  }
}
