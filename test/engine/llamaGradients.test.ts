import assert from 'node:assert/strict';
import { mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { TensorProto_DataType as DataType } from 'onnx-buf';
import { externalLocation } from '../../src/engine/sessions/externalData.ts';
import { openSession, type Session } from '../../src/engine/sessions/session.ts';
import { int32Tensor, int64Tensor, Tensor } from '../../src/engine/sessions/tensors.ts';
import { buildDecoder } from '../../src/models/decoder.ts';
import type { Weights } from '../../src/models/decoderGraph.ts';
import { feeds, fetches } from '../../src/models/feeds.ts';
import type { GraphRequest, ModelConfig } from '../../src/models/model.ts';
import { differentiate, gradientOf } from '../../src/onnx/differentiate.ts';
import { Graph } from '../../src/onnx/graph.ts';
import { size } from './gradientChecks.ts';

/** Made by test/fixtures/makeGradientGoldens.py: PyTorch's gradients of the sum of the surprisals, in float64. */
interface Golden {
  readonly shape: Shape;
  readonly ids: readonly number[]; // (T)
  readonly labels: readonly number[]; // (T)
  readonly cosines: readonly number[]; // (T, headWidth / 2)
  readonly sines: readonly number[];
  readonly surprisal: readonly number[]; // (T)
  readonly residual: readonly number[]; // (T, D)
  readonly weights: Readonly<
    Record<string, { readonly squares: number; readonly fifths: readonly number[] }>
  >;
}

interface Shape {
  readonly layers: number;
  readonly width: number;
  readonly feedForward: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headWidth: number;
  readonly vocabulary: number;
  readonly tied: boolean;
}

type Precision = 'float32' | 'float64';

const tolerances = { float32: 2e-5, float64: 1e-11 } as const;
const single: number = DataType.FLOAT;
const residual = 'blocks.0.hook_resid_post';

for (const name of ['grouped', 'tied']) {
  describe(`The gradients of a whole Llama (${name})`, () => {
    let folder: string;
    let model: SmallLlama;
    before(async () => {
      folder = await realpath(await mkdtemp(join(tmpdir(), 'loupe-gradients-')));
      const path = new URL(`../fixtures/gradients/${name}.json`, import.meta.url);
      model = new SmallLlama(JSON.parse(await readFile(path, 'utf8')) as Golden, folder);
      await model.writeWeights();
    });
    after(() => rm(folder, { recursive: true }));

    for (const precision of ['float32', 'float64'] as const) {
      it(`agree with PyTorch's in ${precision}, by every weight and by a hook`, async t => {
        const { golden } = model;
        const names = Object.keys(golden.weights);
        const request = { hooks: [residual], head: 'loss', cache: false } as const;
        const graph = model.graph(request, precision);
        const by = [...names, residual];
        const session = await open(differentiate(graph, { of: fetches.surprisal, by }));
        const outputs = await session.run(model.feeds(precision));
        await session.dispose();
        const close = (what: string, actual: readonly number[], expected: readonly number[]) => {
          const error = relativeError(actual, expected);
          assert.ok(error < tolerances[precision], `${what}: ${error}`);
          return error;
        };
        close('surprisal', numbers(outputs[fetches.surprisal]), golden.surprisal);
        let worst = close('residual', numbers(outputs[gradientOf(residual)]), golden.residual);
        for (const [name, { squares, fifths }] of Object.entries(golden.weights)) {
          const gradient = numbers(outputs[gradientOf(name)]);
          const picked = gradient.filter((_, i) => i % 5 === 0);
          worst = Math.max(worst, close(name, picked, fifths));
          const sum = gradient.reduce((sum, value) => sum + value * value, 0);
          close(`${name}, squared`, [sum], [squares]);
        }
        t.diagnostic(`largest error, relative to the largest element: ${worst.toExponential(1)}`);
      });
    }

    it('agree with finite differences, by the residual stream', async t => {
      const request = { from: 'hook_embed', hooks: [], head: 'loss', cache: false } as const;
      const graph = model.graph(request, 'float64');
      const session = await open(
        differentiate(graph, { of: fetches.surprisal, by: [feeds.residual] }),
      );
      const values = model.embedded();
      const run = (values: readonly number[]) => {
        return session.run({ ...model.feeds('float64', 'hook'), ...model.residualFeed(values) });
      };
      const gradient = numbers((await run(values))[gradientOf(feeds.residual)]);
      const step = 1e-5;
      const slopes: number[] = [];
      for (const i of values.keys()) {
        const at = async (move: number) =>
          numbers((await run(values.with(i, (values[i] ?? NaN) + move)))[fetches.surprisal]).reduce(
            (sum, value) => sum + value,
            0,
          );
        slopes.push(((await at(step)) - (await at(-step))) / (2 * step));
      }
      await session.dispose();
      const error = relativeError(gradient, slopes);
      t.diagnostic(`largest error, relative to the largest element: ${error.toExponential(1)}`);
      assert.ok(error < 1e-8, String(error));
    });

    it('leave the surprisal as it was', async () => {
      const request = { hooks: [], head: 'loss', cache: false } as const;
      const graph = model.graph(request, 'float32');
      const plain = await open(graph);
      const differentiated = await open(
        differentiate(graph, { of: fetches.surprisal, by: ['embed'] }),
      );
      const fed = model.feeds('float32');
      const [before, after] = [await plain.run(fed), await differentiated.run(fed)];
      const surprisal = (outputs: typeof before) => numbers(outputs[fetches.surprisal]);
      assert.ok(relativeError(surprisal(after), surprisal(before)) < 1e-6);
      assert.deepEqual(after[fetches.predictedIds]?.data, before[fetches.predictedIds]?.data);
      await plain.dispose();
      await differentiated.dispose();
    });

    it('stop at what is frozen: the layers before a hook stay fused and undifferentiated', () => {
      const request = { hooks: [residual], head: 'loss', cache: false } as const;
      const graph = model.graph(request, 'float32');
      const count = (by: string, op: string) =>
        Graph.read(differentiate(graph, { of: fetches.surprisal, by: [by] })).proto.node.filter(
          ({ opType }) => opType === op,
        ).length;
      const { layers } = model.golden.shape;
      assert.equal(count('finalNorm', 'GroupQueryAttention'), layers);
      assert.equal(count(residual, 'GroupQueryAttention'), 1);
      assert.equal(count('blocks.0.attentionNorm', 'GroupQueryAttention'), 0);
      // Forward 7 products a layer and the head; by the final norm, one back through the head.
      assert.equal(count('finalNorm', 'Gemm'), 7 * layers + 2);
    });
  });
}

/** The model of a golden, its weights in files of both precisions. */
class SmallLlama {
  readonly golden: Golden;
  private readonly folder: string;
  private readonly weights: ReadonlyMap<string, { shape: number[]; values: number[] }>;

  constructor(golden: Golden, folder: string) {
    this.golden = golden;
    this.folder = folder;
    this.weights = madeWeights(golden.shape);
  }

  async writeWeights(): Promise<void> {
    const values = [...this.weights.values()].flatMap(weight => weight.values);
    await writeFile(this.path('float32'), Float32Array.from(values));
    await writeFile(this.path('float64'), Float64Array.from(values));
  }

  /** The graph that Loupe builds; for float64 with every float32 in it, and its weights, widened. */
  graph(request: GraphRequest, precision: Precision): Uint8Array {
    const bytes = precision === 'float32' ? 4 : 8;
    const weights = new Map<string, Weights extends ReadonlyMap<string, infer W> ? W : never>();
    let offset = 0;
    for (const [name, { shape }] of this.weights) {
      const byteLength = size(shape) * bytes;
      const location = externalLocation(this.path(precision));
      weights.set(name, { location, offset, byteLength, shape });
      offset += byteLength;
    }
    const model = buildDecoder(this.config(), weights, request);
    if (precision === 'float32') return model;
    const graph = Graph.read(model);
    for (const weight of graph.proto.initializer) {
      if (weight.dataType === single) weight.dataType = DataType.DOUBLE;
    }
    for (const { type } of [...graph.proto.input, ...graph.proto.output]) {
      if (type?.value.case === 'tensorType' && type.value.value.elemType === single) {
        type.value.value.elemType = DataType.DOUBLE;
      }
    }
    return graph.bytes();
  }

  feeds(precision: Precision, from: 'ids' | 'hook' = 'ids'): Record<string, Tensor> {
    const { ids, labels, cosines, sines, shape } = this.golden;
    const tokens = ids.length;
    const table = [tokens, shape.headWidth / 2];
    return {
      ...(from === 'ids' && { [feeds.ids]: int64Tensor(ids, [tokens]) }),
      [feeds.labels]: int64Tensor(labels, [tokens, 1]),
      [feeds.predictions]: int64Tensor([3], [1]),
      [feeds.lastIndex]: int32Tensor([tokens - 1], [1]),
      [feeds.length]: int32Tensor([tokens], []),
      [feeds.cosines(0)]: floats(cosines, table, precision),
      [feeds.sines(0)]: floats(sines, table, precision),
    };
  }

  residualFeed(values: readonly number[]): Record<string, Tensor> {
    const { ids, shape } = this.golden;
    return { [feeds.residual]: floats(values, [ids.length, shape.width], 'float64') };
  }

  /** The embedded ids (T, D). */
  embedded(): readonly number[] {
    const { width } = this.golden.shape;
    const table = this.weights.get('embed')?.values ?? [];
    return this.golden.ids.flatMap(id => table.slice(id * width, (id + 1) * width));
  }

  private path(precision: Precision): string {
    return join(this.folder, precision);
  }

  private config(): ModelConfig {
    const { tied, ...shape } = this.golden.shape;
    return {
      ...shape,
      architecture: 'llama',
      name: 'small',
      contextLength: 64,
      ropeTheta: 10000,
      normEpsilon: 2 ** -17,
      tiedEmbedding: tied,
    };
  }
}

/** The golden script's weights, in its order. */
function madeWeights(shape: Shape): Map<string, { shape: number[]; values: number[] }> {
  const { width, feedForward, heads, keyValueHeads, headWidth, vocabulary } = shape;
  const [queries, keys] = [heads * headWidth, keyValueHeads * headWidth];
  const shapes: [string, number[]][] = [
    ['embed', [vocabulary, width]],
    ...Array.from({ length: shape.layers }, (_, n): [string, number[]][] => [
      [`blocks.${n}.attentionNorm`, [width]],
      [`blocks.${n}.query`, [queries, width]],
      [`blocks.${n}.key`, [keys, width]],
      [`blocks.${n}.value`, [keys, width]],
      [`blocks.${n}.attentionOut`, [width, queries]],
      [`blocks.${n}.feedForwardNorm`, [width]],
      [`blocks.${n}.gate`, [feedForward, width]],
      [`blocks.${n}.up`, [feedForward, width]],
      [`blocks.${n}.down`, [width, feedForward]],
    ]).flat(),
    ['finalNorm', [width]],
    ...(shape.tied ? [] : [['unembed', [vocabulary, width]] satisfies [string, number[]]]),
  ];
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 24 - 0.5;
  };
  return new Map(
    shapes.map(([name, shape]) => {
      const mean = /norm$/i.test(name) ? 1 : 0;
      return [name, { shape, values: Array.from({ length: size(shape) }, () => next() + mean) }];
    }),
  );
}

function open(graph: Uint8Array): Promise<Session> {
  return openSession(graph, { threads: 1 });
}

function floats(values: readonly number[], shape: readonly number[], precision: Precision): Tensor {
  return precision === 'float32'
    ? new Tensor('float32', Float32Array.from(values), shape)
    : new Tensor('float64', Float64Array.from(values), shape);
}

function numbers(tensor: Tensor | undefined): readonly number[] {
  assert.ok(tensor?.data instanceof Float32Array || tensor?.data instanceof Float64Array);
  return [...tensor.data];
}

/** The largest difference, relative to the largest expected element. */
function relativeError(actual: readonly number[], expected: readonly number[]): number {
  assert.equal(actual.length, expected.length);
  const largest = Math.max(...expected.map(Math.abs));
  const errors = expected.map((value, i) => Math.abs(value - (actual[i] ?? NaN)) / largest);
  return errors.some(Number.isNaN) ? Infinity : Math.max(...errors);
}
