import { Failure } from '../common/failure.ts';
import { Random } from '../common/random.ts';
import type { Device } from '../contracts/engine.ts';
import { Graph, type Value } from '../onnx/graph.ts';
import { float32Tensor, float32Values, openSession } from './session.ts';

/** What the probe's process tells of a device before it ends. */
export type ProbeAnswer = ProbeFindings | { readonly failure: string };

export interface ProbeFindings {
  /** The largest difference to the CPU's result, relative to its largest value. */
  readonly difference: number;
  /** Of one run, after a first one. */
  readonly milliseconds: number;
  readonly cpuMilliseconds: number;
  /** Whether it multiplies matrices of float16. */
  readonly float16: boolean;
}

const [tokens, width] = [256, 512]; // T, D

/** Runs a layer's attention on the device and on the CPU, tells the parent process what came of it, and ends. */
export async function answerProbe(device: Device): Promise<void> {
  const answer = await findings(device).catch((error: unknown): ProbeAnswer => ({
    failure: Failure.from(error).message,
  }));
  process.send?.(answer, () => process.exit(0));
}

async function findings(device: Device): Promise<ProbeAnswer> {
  const cpu = await timedRun('cpu');
  const own = await timedRun(device);
  const largest = cpu.values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const differences = own.values.map((value, i) => Math.abs(value - (cpu.values[i] ?? NaN)));
  return {
    difference: differences.every(Number.isFinite)
      ? differences.reduce((most, value) => Math.max(most, value), 0) / largest
      : Infinity,
    milliseconds: own.milliseconds,
    cpuMilliseconds: cpu.milliseconds,
    float16: await hasFloat16(device).catch(() => false),
  };
}

/** Whether 1 + 2 in float16 is 3 there: a device without such arithmetic refuses the program. */
async function hasFloat16(device: Device): Promise<boolean> {
  const graph = new Graph();
  const x = graph.asFloat16(graph.input('x', 'float32', [1, 2]));
  const ones = graph.asFloat16(graph.float32(Float32Array.of(1, 1), [2, 1]));
  const sum = graph.asFloat32(graph.op('MatMul', [x, ones]), 'float16');
  graph.output(sum, 'y', 'float32', [1, 1]);
  const session = await openSession(graph.bytes(), { threads: 1, device });
  const { y } = await session.run({ x: float32Tensor(Float32Array.of(1, 2), [1, 2]) });
  return float32Values(y)[0] === 3;
}

async function timedRun(device: Device): Promise<{ values: Float32Array; milliseconds: number }> {
  const session = await openSession(graph(), { threads: 2, device });
  const random = new Random(1);
  const feeds = { x: float32Tensor(uniform(random, tokens * width), [tokens, width]) };
  await session.run(feeds); // the first run compiles
  const start = performance.now();
  const { y } = await session.run(feeds);
  const milliseconds = performance.now() - start;
  const values = float32Values(y);
  await session.dispose();
  return { values, milliseconds };
}

/** x (T, D), normed, attended to and mapped: the ops that most of a model's time goes to. */
function graph(): Uint8Array {
  const built = new Graph();
  const random = new Random(2);
  const matrix = () => built.float32(uniform(random, width * width), [width, width]);
  const x = built.input('x', 'float32', ['T', width]);
  const gain = built.float32(new Float32Array(width).fill(1), [width]);
  const attributes = { axis: -1n, epsilon: { float: 1e-5 } };
  const h = built.op('SimplifiedLayerNormalization', [x, gain], attributes);
  const [query, key, value] = [matrix(), matrix(), matrix()].map(weight =>
    built.op('MatMul', [h, weight]),
  ) as [Value, Value, Value];
  const turned = built.op('Transpose', [key], { perm: [1n, 0n] });
  const weights = built.op('Softmax', [built.op('MatMul', [query, turned])]); // (T, T)
  const mixed = built.op('MatMul', [weights, value]);
  const mapped = built.op('Gemm', [mixed, matrix()], { transB: 1n });
  built.output(built.op('Mul', [mapped, built.op('Sigmoid', [mapped])]), 'y', 'float32', [
    'T',
    width,
  ]);
  return built.bytes();
}

/** Between -1 and 1, over the root of the width. */
function uniform(random: Random, count: number): Float32Array {
  return Float32Array.from({ length: count }, () => (2 * random.uniform() - 1) / Math.sqrt(width));
}
