import { Random } from '../../src/common/random.ts';
import { openSession } from '../../src/engine/sessions/session.ts';
import { Tensor } from '../../src/engine/sessions/tensors.ts';
import { differentiate, gradientOf } from '../../src/onnx/differentiate.ts';
import { Graph, type Dimension, type Value } from '../../src/onnx/graph.ts';

/** A small graph of float64 inputs, whose gradients are to be checked. */
export interface GradientCase {
  readonly name: string;
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  /** Elements uniform in this range; -1 to 1 unless given. */
  readonly range?: readonly [number, number];
  readonly build: (graph: Graph, inputs: Readonly<Record<string, Value>>) => Value;
}

export type Arrays = Readonly<Record<string, Float64Array>>;

/** The largest difference of any partial derivative from its central difference, relative to 1 + |derivative|. */
export async function largestError(
  { inputs, range: [low, high] = [-1, 1], build }: GradientCase,
  shapes: 'fixed' | 'named',
): Promise<number> {
  const random = new Random(11);
  const uniform = (length: number, from: number, to: number) =>
    Float64Array.from({ length }, () => from + (to - from) * random.uniform());
  const values = Object.fromEntries(
    Object.entries(inputs).map(([name, shape]) => [name, uniform(size(shape), low, high)]),
  );
  const feeds = (of: Arrays) =>
    Object.fromEntries(
      Object.entries(of).map(([name, data]) => [name, float64(data, inputs[name] ?? [])]),
    );
  const graph = new Graph();
  const made: Record<string, Value> = {};
  for (const [name, shape] of Object.entries(inputs)) {
    made[name] = graph.input(name, 'float64', dimensions(name, shape, shapes));
  }
  const result = build(graph, made);
  graph.output(result, 'result', 'float64', []);
  // A random weight for each element of the result, so that no error cancels another.
  const weights = graph.input('weights', 'float64', ['weights']);
  const flat = graph.op('Reshape', [result, graph.int64([-1])]);
  const loss = graph.op('ReduceSum', [graph.op('Mul', [flat, weights])], { keepdims: 0n });
  graph.output(loss, 'loss', 'float64', []);
  // Without declared shapes of the outputs, which differ from case to case.
  for (const { type } of graph.proto.output) {
    if (type?.value.case === 'tensorType') delete type.value.value.shape;
  }
  const names = Object.keys(inputs);
  const session = await openSession(differentiate(graph.bytes(), { of: 'loss', by: names }), {
    threads: 1,
  });
  try {
    const count = await resultSize(session, feeds(values));
    const weightTensor = float64(uniform(count, -1, 1), [count]);
    const run = (of: Arrays) => session.run({ ...feeds(of), weights: weightTensor });
    const gradients = await run(values);
    let worst = 0;
    for (const name of names) {
      const gradient = gradients[gradientOf(name)]?.data;
      const value = values[name] ?? new Float64Array();
      if (!(gradient instanceof Float64Array) || gradient.length !== value.length) return Infinity;
      for (let i = 0; i < value.length; i++) {
        const step = 1e-5;
        const at = async (x: number) => {
          const moved = Float64Array.from(value);
          moved[i] = x;
          return Number((await run({ ...values, [name]: moved }))['loss']?.data[0]);
        };
        const here = value[i] ?? NaN;
        const slope = ((await at(here + step)) - (await at(here - step))) / (2 * step);
        const error = Math.abs(slope - (gradient[i] ?? NaN)) / (1 + Math.abs(slope));
        worst = Number.isNaN(error) ? Infinity : Math.max(worst, error);
      }
    }
    return worst;
  } finally {
    await session.dispose();
  }
}

async function resultSize(
  session: Awaited<ReturnType<typeof openSession>>,
  feeds: Record<string, Tensor>,
): Promise<number> {
  const weights = float64(new Float64Array(1), [1]);
  return (await session.run({ ...feeds, weights }, ['result']))['result']?.size ?? 0;
}

export function float64(values: Float64Array, shape: readonly number[]): Tensor {
  return new Tensor('float64', values, shape);
}

export function size(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

function dimensions(
  name: string,
  shape: readonly number[],
  shapes: 'fixed' | 'named',
): readonly Dimension[] {
  return shapes === 'fixed' ? shape : shape.map((_, i) => `${name}${i}`);
}
