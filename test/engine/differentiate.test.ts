import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import { openSession } from '../../src/engine/sessions/session.ts';
import { differentiate, gradientOf } from '../../src/onnx/differentiate.ts';
import { gradientRules } from '../../src/onnx/gradients/table.ts';
import { lowerings } from '../../src/onnx/gradients/lowerings.ts';
import { Graph, type Attribute, type Value } from '../../src/onnx/graph.ts';
import { float64, type GradientCase, largestError } from './gradientChecks.ts';

type Attributes = Readonly<Record<string, Attribute>>;

/** One op on float64 inputs named a, b, c, in that order, and what follows them. */
function one(
  op: string,
  shapes: readonly (readonly number[])[],
  options: {
    rest?: (graph: Graph) => readonly (Value | undefined)[];
    attributes?: Attributes;
    range?: readonly [number, number];
    note?: string;
  } = {},
): GradientCase {
  const names = ['a', 'b', 'c'].slice(0, shapes.length);
  return {
    name: `${op} of ${shapes.map(shape => `(${shape.join(', ')})`).join(', ')}${options.note ?? ''}`,
    inputs: Object.fromEntries(names.map((name, i) => [name, shapes[i] ?? []])),
    ...(options.range && { range: options.range }),
    build: (graph, inputs) =>
      graph.op(
        op,
        [...names.map(name => inputs[name]), ...(options.rest?.(graph) ?? [])],
        options.attributes,
      ),
  };
}

const double = 11n; // TensorProto.DataType.DOUBLE
const positive = [0.5, 2] as const;
const ints =
  (...values: number[]) =>
  (graph: Graph) => [graph.int64(values)];

const broadcasts = [
  [
    [2, 3],
    [2, 3],
  ],
  [
    [2, 3, 4],
    [3, 1],
  ],
  [[4], [2, 1, 4]],
  [[], [3]],
  [
    [1, 3],
    [2, 1],
  ],
];

const cases: GradientCase[] = [
  ...['Identity', 'Neg', 'Exp', 'Sigmoid', 'Relu'].map(op => one(op, [[2, 3]])),
  ...['Log', 'Sqrt', 'Reciprocal'].map(op => one(op, [[2, 3]], { range: positive })),
  one('Cast', [[2, 3]], { attributes: { to: double } }),
  {
    name: 'CastLike',
    inputs: { a: [3] },
    build: (graph, { a }) => graph.op('CastLike', [graph.op('Mul', [a, a]), a]),
  },
  ...['Add', 'Sub', 'Mul', 'Div', 'Pow'].flatMap(op =>
    broadcasts.map(shapes => one(op, shapes, { range: positive })),
  ),
  ...broadcasts.map(([a = [], b = []]): GradientCase => ({
    name: `Where of (${a.join(', ')}), (${b.join(', ')})`,
    inputs: { a, b },
    build: (graph, { a, b }) => graph.op('Where', [graph.op('Greater', [a, b]), a, b]),
  })),
  {
    name: 'a value that is used many times',
    inputs: { a: [3] },
    build: (graph, { a }) => {
      const square = graph.op('Mul', [a, a]);
      return graph.op('Add', [graph.op('Mul', [square, a]), graph.op('Sub', [square, a])]);
    },
  },
  one('MatMul', [
    [2, 3],
    [3, 4],
  ]),
  one(
    'MatMul',
    [
      [2, 2, 3],
      [3, 4],
    ],
    { note: ', a batch and a matrix' },
  ),
  one(
    'MatMul',
    [
      [2, 1, 2, 3],
      [2, 3, 2],
    ],
    { note: ', both batches repeated' },
  ),
  ...[0n, 1n].flatMap(transA =>
    [0n, 1n].map(transB =>
      one('Gemm', [transA ? [3, 2] : [2, 3], transB ? [4, 3] : [3, 4], [4]], {
        attributes: { transA, transB, alpha: { float: 0.5 }, beta: { float: 2 } },
        note: ` (transA ${transA}, transB ${transB})`,
      }),
    ),
  ),
  one(
    'Gemm',
    [
      [2, 3],
      [3, 4],
    ],
    { note: ', no bias' },
  ),
  ...['ReduceSum', 'ReduceMean', 'ReduceMax', 'ReduceLogSumExp'].flatMap(op =>
    [0n, 1n].flatMap(keepdims => [
      one(op, [[2, 3, 2]], { attributes: { keepdims }, note: `, all (keepdims ${keepdims})` }),
      one(op, [[2, 3, 2]], {
        rest: ints(0, -1),
        attributes: { keepdims },
        note: `, axes 0 and -1 (keepdims ${keepdims})`,
      }),
    ]),
  ),
  ...['Softmax', 'LogSoftmax'].flatMap(op => [
    one(op, [[2, 3]]),
    one(op, [[2, 3, 2]], { attributes: { axis: 1n }, note: ', axis 1' }),
  ]),
  one('SimplifiedLayerNormalization', [[2, 3, 4], [4]], {
    attributes: { axis: -1n, epsilon: { float: 0.125 } },
  }),
  one('Reshape', [[2, 6]], { rest: ints(0, 3, -1) }),
  one('Expand', [[3, 1]], { rest: ints(2, 1, 4) }),
  one('Unsqueeze', [[2, 3]], { rest: ints(1, -1) }),
  one('Squeeze', [[2, 1, 3, 1]], { rest: ints(1, -1) }),
  one('Transpose', [[2, 3, 4]], { attributes: { perm: [1n, 2n, 0n] } }),
  one('Transpose', [[2, 3, 4]], { note: ', reversed' }),
  one(
    'Concat',
    [
      [2, 1],
      [2, 3],
      [2, 2],
    ],
    { attributes: { axis: 1n } },
  ),
  one(
    'Concat',
    [
      [1, 2],
      [3, 2],
    ],
    { attributes: { axis: -2n }, note: ', axis -2' },
  ),
  {
    name: 'Split, one part of which goes unused',
    inputs: { a: [2, 6] },
    build: (graph, { a }) => {
      const parts = graph.outputsOf(3, 'Split', [a, graph.int64([1, 3, 2])], { axis: -1n });
      return graph.op('Concat', [parts[2], parts[0]], { axis: 1n });
    },
  },
  one('Slice', [[4, 5]], {
    rest: graph => [graph.int64([-3]), graph.int64([4]), graph.int64([1])],
  }),
  one('Slice', [[4, 5]], {
    rest: graph => [graph.int64([1, 2]), graph.int64([3, 99])],
    note: ', all axes',
  }),
  one('Slice', [[2, 5]], {
    rest: graph => [graph.int64([0]), graph.int64([2]), graph.int64([-1]), graph.int64([1])],
    note: ', with steps',
  }),
  one('Pad', [[2, 3]], { rest: ints(1, 0, 2, 1) }),
  one('Pad', [[2, 3, 2]], {
    rest: graph => [graph.int64([1, 2]), undefined, graph.int64([-1])],
    note: ', one axis',
  }),
  one('Gather', [[4, 3]], { rest: ints(2, 0, 2, -1), note: ', rows that repeat' }),
  one('Gather', [[2, 4, 3]], {
    rest: graph => [graph.int64([1, 3, 1, 0], [2, 2])],
    attributes: { axis: 1n },
    note: ', axis 1 by a matrix',
  }),
  one('Gather', [[2, 4]], {
    rest: graph => [graph.int64([3], [])],
    attributes: { axis: -1n },
    note: ', the last axis by a number',
  }),
  one('GatherElements', [[2, 4]], {
    rest: graph => [graph.int64([1, 1, -1, 0, 2, 0], [2, 3])],
    attributes: { axis: 1n },
  }),
  {
    name: 'TopK',
    inputs: { a: [2, 5] },
    build: (graph, { a }) => graph.ops(2, 'TopK', [a, graph.int64([3])])[0],
  },
  attention(4, 2, 1),
  attention(4, 4, 2),
  attention(2, 1, 0),
];

/** GroupQueryAttention of two texts of 3 tokens; with a rotation if `turns` is above 0. */
function attention(heads: number, groups: number, turns: number): GradientCase {
  const [tokens, headWidth] = [3, 4];
  return {
    name: `GroupQueryAttention, ${heads} heads in ${groups} groups, ${turns ? '' : 'not '}rotated`,
    inputs: {
      query: [2, tokens, heads * headWidth],
      key: [2, tokens, groups * headWidth],
      value: [2, tokens, groups * headWidth],
      ...(turns > 0 && { cosines: [5, headWidth / 2], sines: [5, headWidth / 2] }),
    },
    build: (graph, { query, key, value, cosines, sines }) => {
      const none = undefined;
      const lengths = [none, none, graph.int64([2]), graph.int64([3])];
      const attributes = {
        num_heads: BigInt(heads),
        kv_num_heads: BigInt(groups),
        do_rotary: turns > 0 ? 1n : 0n,
        scale: { float: 0.5 },
      };
      const inputs = [query, key, value, ...lengths, cosines, sines];
      return graph.ops(3, 'GroupQueryAttention', inputs, attributes, 'com.microsoft')[0];
    },
  };
}

describe('The gradient of', () => {
  for (const example of cases) {
    it(example.name, async () => {
      assert.ok((await largestError(example, 'fixed')) < 2e-9);
      assert.ok((await largestError(example, 'named')) < 2e-9);
    });
  }

  it('every op that has a rule is checked', () => {
    const checked = cases.map(({ name }) => name.split(/[ ,]/)[0]);
    const rules = [...Object.keys(gradientRules), ...Object.keys(lowerings)];
    assert.deepEqual(
      rules.filter(op => !checked.includes(op)),
      [],
    );
  });
});

/** terms = op(a) b + b c, their sum as the loss, op(a) shown. */
function small(op = 'Exp'): Graph {
  const graph = new Graph();
  const [a, b, c] = ['a', 'b', 'c'].map(name => graph.input(name, 'float64', [3]));
  const x = graph.op(op, [a]);
  graph.output(x, 'shown', 'float64', [3]);
  const product = graph.op('Mul', [x, b]);
  const sum = graph.op('Add', [product, graph.op('Mul', [b, c])]);
  graph.output(graph.op('ReduceSum', [sum], { keepdims: 0n }), 'loss', 'float64', []);
  graph.output(sum, 'terms', 'float64', [3]);
  graph.output(graph.op('Shape', [a]), 'count', 'int64', [1]);
  return graph;
}

function refused(code: string, words: RegExp) {
  return (error: unknown) => Failure.is(error) && error.code === code && words.test(error.message);
}

describe('Differentiation', () => {
  it('refuses an op without a rule by its name, but only between the variables and the loss', () => {
    const model = small('Tanh').bytes();
    assert.throws(
      () => differentiate(model, { of: 'loss', by: ['a'] }),
      refused('unsupported', /The op Tanh \(Tanh:%0\) has no gradient rule/),
    );
    assert.doesNotThrow(() => differentiate(model, { of: 'loss', by: ['b'] }));
  });

  it('refuses names that do not fit, saying which', () => {
    const model = small().bytes();
    const by = (...by: string[]) => differentiate(model, { of: 'loss', by });
    assert.throws(() => by('nothing'), refused('usage', /"nothing"/));
    assert.throws(() => by('count'), refused('usage', /"count" to hold floats, found INT64/));
    assert.throws(
      () => differentiate(model, { of: 'shown', by: ['c'] }),
      refused('usage', /"shown" does not depend on "c"/),
    );
    assert.throws(
      () => differentiate(model, { of: 'shown', by: ['a', 'c'] }),
      refused('usage', /"shown" does not depend on "c"/),
    );
    assert.throws(
      () => differentiate(model, { of: 'loss', by: ['a'], keep: ['what'] }),
      refused('usage', /no output "what"/),
    );
  });

  it('refuses what an op may ask and its rule does not do', () => {
    const refusedBy = (build: (graph: Graph, a: Value) => Value) => {
      const graph = new Graph();
      const result = build(graph, graph.input('a', 'float64', [2, 3, 8]));
      graph.output(result, 'loss', 'float64', []);
      return () => differentiate(graph.bytes(), { of: 'loss', by: ['a'] });
    };
    const steps = refusedBy((graph, a) =>
      graph.op('Slice', [a, ...[0, 3, 1, 2].map(n => graph.int64([n]))]),
    );
    assert.throws(steps, refused('unsupported', /Slice .* takes steps other than 1/));
    const axis = refusedBy((graph, a) =>
      graph.op('SimplifiedLayerNormalization', [a, a], { axis: 1n }),
    );
    assert.throws(axis, refused('unsupported', /SimplifiedLayerNormalization .* another axis/));
    const attentionOf = (rest: readonly Value[], attributes: Attributes = {}) =>
      refusedBy(
        (graph, a) =>
          graph.ops(
            3,
            'GroupQueryAttention',
            [a, a, a, ...rest],
            { num_heads: 1n, kv_num_heads: 1n, scale: { float: 1 }, ...attributes },
            'com.microsoft',
          )[0],
      );
    assert.throws(
      attentionOf([{ name: 'a' }, { name: 'a' }]),
      refused('unsupported', /GroupQueryAttention .* reads a past/),
    );
    assert.throws(
      attentionOf([], { local_window_size: 4n }),
      refused('unsupported', /GroupQueryAttention .* has a window/),
    );
    assert.doesNotThrow(attentionOf([]));
  });

  it('adds nothing for what is frozen', () => {
    const products = (...by: string[]) => {
      const { node } = Graph.read(differentiate(small().bytes(), { of: 'loss', by })).proto;
      return node.filter(({ opType }) => opType === 'Mul').length;
    };
    // Forward: Exp and two products. By c: one product more. By a: d b and, for Exp, d y.
    assert.equal(products('c'), 3);
    assert.equal(products('a'), 4);
    assert.equal(products('a', 'b', 'c'), 7);
  });

  it('cuts away the outputs that are not kept, with what only they needed', () => {
    const graph = small();
    const d = graph.input('d', 'float64', [3]);
    graph.output(graph.op('Sigmoid', [d]), 'unrelated', 'float64', [3]);
    const model = differentiate(graph.bytes(), { of: 'loss', by: ['a'], keep: ['loss'] });
    const { node, input, output } = Graph.read(model).proto;
    assert.ok(!node.some(({ opType }) => opType === 'Sigmoid'));
    assert.deepEqual(
      input.map(({ name }) => name),
      ['a', 'b', 'c'],
    );
    assert.deepEqual(
      output.map(({ name }) => name),
      ['loss', gradientOf('a')],
    );
  });

  it('keeps the outputs as they were, and gives gradients by hooks and of sums', async () => {
    const feeds = {
      a: float64(Float64Array.of(0, 1, 2), [3]),
      b: float64(Float64Array.of(3, -4, 5), [3]),
      c: float64(Float64Array.of(1, 1, 1), [3]),
    };
    const plain = await openSession(small().bytes(), { threads: 1 });
    const model = differentiate(small().bytes(), { of: 'terms', by: ['shown', 'a', 'c'] });
    const session = await openSession(model, { threads: 1 });
    const [before, after] = [await plain.run(feeds), await session.run(feeds)];
    for (const name of ['shown', 'loss', 'terms', 'count']) {
      assert.deepEqual(after[name]?.data, before[name]?.data);
    }
    assert.deepEqual(after[gradientOf('shown')]?.data, Float64Array.of(3, -4, 5));
    assert.deepEqual(after[gradientOf('c')]?.data, Float64Array.of(3, -4, 5));
    const expected = Float64Array.of(3, -4 * Math.E, 5 * Math.E ** 2);
    const byA = after[gradientOf('a')]?.data;
    assert.ok(byA instanceof Float64Array);
    assert.ok(byA.every((value, i) => Math.abs(value - (expected[i] ?? NaN)) < 1e-12));
    await plain.dispose();
    await session.dispose();
  });
});
