import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../../common/failure.ts';
import { Random } from '../../common/random.ts';
import { deviceNames, type Placement } from '../../contracts/devices.ts';
import type { Device } from '../../contracts/engine.ts';
import { runsWhole } from '../../onnx/devices.ts';
import { Graph, type Value } from '../../onnx/graph.ts';
import { profiledPlacement } from '../sessions/profiledPlacement.ts';
import { openSession } from '../sessions/session.ts';
import { float32Tensor, float32Values, int64Tensor, type Tensor } from '../sessions/tensors.ts';

/** What the probe's process tells of a device before it ends. */
export type ProbeAnswer = ProbeFindings | { readonly failure: string };

export interface ProbeFindings {
  /** The largest difference to the CPU's result, relative to its largest value. */
  readonly difference: number;
  /** Of the fastest of a few runs, after a first one. */
  readonly milliseconds: number;
  readonly cpuMilliseconds: number;
  /** Where some operators ran on the CPU. */
  readonly placement?: Placement | undefined;
  /** Whether it multiplies matrices of float16. */
  readonly float16: boolean;
  /** Of the graph's weights, and of this process after the runs. */
  readonly weightBytes?: number;
  readonly residentBytes?: number;
}

const [tokens, width, active] = [256, 512, 8]; // T, D, K

/** Runs that are timed: the fastest one counts, which what else the machine does has slowed least. */
const timed = 3;
/** A run of more milliseconds is not timed again. */
const hopeless = 250;

/** The device that `--device=` names. */
export function probedDevice(args: readonly string[]): Device {
  const named = args.find(arg => arg.startsWith('--device='))?.slice('--device='.length);
  return Object.keys(deviceNames).find((name): name is Device => name === named) ?? 'webgpu';
}

/** The CPU's threads, which `--threads=` gives. */
export function probedThreads(args: readonly string[]): number {
  const named = args.find(arg => arg.startsWith('--threads='))?.slice('--threads='.length);
  return Math.max(1, Math.floor(Number(named)) || 1);
}

/** Runs a layer's attention on the device and on the CPU, tells the parent process what came of it, and ends. */
export async function answerProbe(device: Device, threads: number): Promise<void> {
  const answer = await findings(device, threads).catch((error: unknown): ProbeAnswer => ({
    failure: Failure.from(error).message,
  }));
  process.send?.(answer, () => process.exit(0));
}

async function findings(device: Device, threads: number): Promise<ProbeAnswer> {
  const cpu = await timedRuns('cpu', threads);
  const own = await timedRuns(device, threads);
  const largest = cpu.values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const differences = own.values.map((value, i) => Math.abs(value - (cpu.values[i] ?? NaN)));
  return {
    difference: differences.every(Number.isFinite)
      ? differences.reduce((most, value) => Math.max(most, value), 0) / largest
      : Infinity,
    milliseconds: own.milliseconds,
    cpuMilliseconds: cpu.milliseconds,
    placement: runsWhole(device) ? undefined : await placementOf(device, threads),
    float16: await hasFloat16(device).catch(() => false),
    weightBytes: 5 * width * width * Float32Array.BYTES_PER_ELEMENT,
    residentBytes: own.residentBytes,
  };
}

/**
 * Whether 1 + 2 in float16 is 3 there. A device without such arithmetic refuses the program, or leaves it to onnxruntime's CPU,
 * which takes float16 and calculates in float32.
 */
export async function hasFloat16(device: Device): Promise<boolean> {
  const graph = new Graph();
  const x = graph.asFloat16(graph.input('x', 'float32', [1, 2]));
  const ones = graph.asFloat16(graph.float32(Float32Array.of(1, 1), [2, 1]));
  const sum = graph.asFloat32(graph.op('MatMul', [x, ones]), 'float16');
  graph.output(sum, 'y', 'float32', [1, 1]);
  const { outputs, placement } = await profiled(graph.bytes(), {
    ...{ device, threads: 1, feeds: { x: float32Tensor(Float32Array.of(1, 2), [1, 2]) } },
  });
  const isElsewhere = placement?.kinds.some(kind => kind.includes('MatMul')) ?? false;
  return float32Values(outputs['y'])[0] === 3 && !isElsewhere;
}

async function timedRuns(device: Device, threads: number) {
  const session = await openSession(graph(), { threads, device });
  const { y, largest } = await session.run(feeds()); // the first run compiles
  const values = [...float32Values(y), ...float32Values(largest)];
  let milliseconds = Infinity;
  for (let i = 0; i < timed && (i === 0 || milliseconds < hopeless); i++) {
    const start = performance.now();
    await session.run(feeds());
    milliseconds = Math.min(milliseconds, performance.now() - start);
  }
  const residentBytes = process.memoryUsage.rss();
  await session.dispose();
  return { values, milliseconds, residentBytes };
}

async function placementOf(device: Device, threads: number): Promise<Placement | undefined> {
  return (await profiled(graph(), { device, threads, feeds: feeds() })).placement;
}

interface ProfiledRun {
  readonly device: Device;
  readonly threads: number;
  readonly feeds: Readonly<Record<string, Tensor>>;
}

/**
 * One run, and what of it was the CPU's, since the device has no kernel for it, or nobody says that it has; nothing was where the
 * device runs graphs whole.
 */
async function profiled(graph: Uint8Array, { device, threads, feeds }: ProfiledRun) {
  const isWhole = runsWhole(device);
  const folder = await mkdtemp(join(tmpdir(), 'loupe-probe-'));
  try {
    const profileAt = join(folder, 'run');
    const session = await openSession(graph, {
      ...{ threads, device, ...(!isWhole && { profileAt }) },
    });
    const outputs = await session.run(feeds);
    if (!isWhole) session.profile();
    await session.dispose();
    return { outputs, placement: isWhole ? undefined : await profiledPlacement(profileAt) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function feeds(): Record<string, Tensor> {
  return {
    ids: int64Tensor(
      Uint32Array.from({ length: tokens }, (_, t) => (7 * t) % width),
      [tokens],
    ),
  };
}

/** Rows of an embedding by `ids` (T), normed, attended to and mapped, and the K largest of each: a model's ops and an SAE's. */
function graph(): Uint8Array {
  const built = new Graph();
  const random = new Random(2);
  const matrix = () => built.float32(uniform(random, width * width), [width, width]);
  const x = built.op('Gather', [matrix(), built.input('ids', 'int64', ['T'])]); // (T, D)
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
  const activated = built.op('Mul', [mapped, built.op('Sigmoid', [mapped])]);
  built.output(activated, 'y', 'float32', ['T', width]);
  const [largest] = built.ops(2, 'TopK', [activated, built.int64([active])]);
  built.output(largest, 'largest', 'float32', ['T', active]);
  return built.bytes();
}

/** Between -1 and 1, over the root of the width. */
function uniform(random: Random, count: number): Float32Array {
  return Float32Array.from({ length: count }, () => (2 * random.uniform() - 1) / Math.sqrt(width));
}
