// Training step of an SAE against PyTorch's, against the encoder's product alone, and hierarchical against plain TopK:
// interleaved rounds in one run. `LOUPE_PYTHON` names a Python with torch; without it, PyTorch is left out.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Random } from '../src/common/random.ts';
import { readKernel } from '../src/engine/kernelFile.ts';
import { float32Tensor, openSession } from '../src/engine/session.ts';
import { RuntimeEncoder } from '../src/engine/trainerEncoder.ts';
import { Graph } from '../src/onnx/graph.ts';
import { budgetsOf, type ObjectiveName } from '../src/training/objective.ts';
import { defaultSettings } from '../src/training/settings.ts';
import { TrainingKernel } from '../src/training/trainingKernel.ts';

const shape = { batch: 1024, width: 576, features: 8192, k: 64, threads: 2 };
const warmUp = 3;

/** Something whose milliseconds are measured. */
interface Contestant {
  readonly name: string;
  run(): Promise<number>;
  dispose(): Promise<void>;
}

export interface TrainingStepResult {
  readonly shape: typeof shape;
  readonly pytorch: string | undefined;
  /** Milliseconds over the rounds. */
  readonly times: Readonly<Record<string, { readonly minimum: number; readonly median: number }>>;
  /** Medians of the ratios within each round, and ratios of the minima. */
  readonly ratios: Readonly<
    Record<string, { readonly median: number; readonly ofMinima: number; readonly target: string }>
  >;
}

export async function benchTrainingStep(rounds: number): Promise<TrainingStepResult> {
  const peer = process.env['LOUPE_PYTHON']
    ? await startPeer(process.env['LOUPE_PYTHON'])
    : undefined;
  const contestants: Contestant[] = [
    await product(),
    await loupe('hierarchical'),
    await loupe('topk'),
    ...(peer ? [peer.step('hierarchical'), peer.step('topk')] : []),
  ];
  const times = new Map(contestants.map(({ name }) => [name, [] as number[]]));
  try {
    for (let round = -warmUp; round < rounds; round++) {
      for (const contestant of contestants) {
        const milliseconds = await contestant.run();
        if (round >= 0) times.get(contestant.name)?.push(milliseconds);
      }
    }
  } finally {
    for (const contestant of contestants) await contestant.dispose();
  }
  const ratio = (over: string, under: string, target: string) => {
    const [a = [], b = []] = [times.get(over), times.get(under)];
    const each = a.map((value, i) => value / (b[i] ?? NaN));
    return { median: median(each), ofMinima: Math.min(...a) / Math.min(...b), target };
  };
  return {
    shape,
    pytorch: peer?.version,
    times: Object.fromEntries(
      Array.from(times, ([name, all]) => [
        name,
        { minimum: Math.min(...all), median: median(all) },
      ]),
    ),
    ratios: {
      ...(peer && {
        'PyTorch / Loupe, hierarchical': ratio(
          'PyTorch hierarchical',
          'Loupe hierarchical',
          'at least 2',
        ),
        'PyTorch / Loupe, topk': ratio('PyTorch topk', 'Loupe topk', ''),
      }),
      'Loupe hierarchical / encoder product': ratio(
        'Loupe hierarchical',
        'encoder product',
        'at most 2.5',
      ),
      'Loupe hierarchical / Loupe topk': ratio('Loupe hierarchical', 'Loupe topk', 'at most 1.33'),
    },
  };
}

/** The floor: onnxruntime's dense product of the encoder, weights given as a constant, which is its fastest way. */
async function product(): Promise<Contestant> {
  const { batch, width, features, threads } = shape;
  const graph = new Graph();
  const weights = graph.float32(randomRows(features, width), [features, width]);
  const x = graph.input('x', 'float32', [batch, width]);
  const result = graph.op('Gemm', [x, weights], { transB: 1n });
  // Only one row is let out, so that no copy of the output is measured.
  graph.output(graph.op('Gather', [result, graph.int64([0])], { axis: 0n }), 'y', 'float32', [
    1,
    features,
  ]);
  const session = await openSession(graph.bytes(), { threads, allowSpinning: false });
  const feeds = { x: float32Tensor(randomRows(batch, width), [batch, width]) };
  return {
    name: 'encoder product',
    run: () => timed(() => session.run(feeds)),
    dispose: () => session.dispose(),
  };
}

async function loupe(objective: ObjectiveName): Promise<Contestant> {
  const kernel = await TrainingKernel.open(await readKernel(), {
    ...shape,
    budgets: budgetsOf(objective, shape.k),
    auxiliaryK: defaultSettings.auxiliaryK,
    decoderBias: true,
    separateTarget: false,
    unitDecoder: false,
  });
  const encoder = await RuntimeEncoder.open(kernel);
  const rows = randomRows(shape.features, shape.width);
  kernel.encoder.value.set(rows);
  kernel.decoder.value.set(rows);
  kernel.input.set(randomRows(shape.batch, shape.width).map(v => v * Math.sqrt(shape.width)));
  let step = 0;
  return {
    name: `Loupe ${objective}`,
    run: () =>
      timed(async () => {
        await encoder.encode();
        kernel.step({ ...defaultSettings, step: ++step, auxiliarySlots: 0 });
      }),
    dispose: async () => {
      await encoder.dispose();
      await kernel.dispose();
    },
  };
}

async function startPeer(python: string) {
  const script = fileURLToPath(new URL('./peers/trainingStep.py', import.meta.url));
  const sizes = [shape.batch, shape.width, shape.features, shape.k, shape.threads].map(String);
  const child = spawn(python, [script, ...sizes], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // Without these, glibc maps and unmaps every large tensor anew, which costs PyTorch half its speed.
    env: {
      ...process.env,
      MALLOC_MMAP_THRESHOLD_: '4294967296',
      MALLOC_TRIM_THRESHOLD_: '17179869184',
    },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const line = await lines.next();
    if (line.done === true) throw new Error(`${python} ended: is torch installed there?`);
    return line.value;
  };
  const version = await next();
  return {
    version,
    step: (objective: string): Contestant => ({
      name: `PyTorch ${objective}`,
      run: async () => {
        child.stdin.write(`${objective}\n`);
        return Number(await next());
      },
      dispose: () => {
        child.kill();
        return Promise.resolve();
      },
    }),
  };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Rows of random direction and length 1. */
function randomRows(count: number, width: number): Float32Array {
  const random = new Random(1);
  const rows = Float32Array.from({ length: count * width }, () => random.normal());
  for (let r = 0; r < count; r++) {
    const row = rows.subarray(r * width, (r + 1) * width);
    const length = Math.hypot(...row);
    row.forEach((v, i) => (row[i] = v / length));
  }
  return rows;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await benchTrainingStep(Number(process.argv[2] ?? 15)), null, 2));
}
