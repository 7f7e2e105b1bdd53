// Training step of an SAE against PyTorch's, against the encoder's product alone, and hierarchical against plain TopK:
// interleaved rounds in one run. `LOUPE_PYTHON` names a Python with torch; without it, PyTorch is left out.
import { fileURLToPath } from 'node:url';
import { openSession } from '../src/engine/sessions/session.ts';
import { float32Tensor } from '../src/engine/sessions/tensors.ts';
import { Graph } from '../src/onnx/graph.ts';
import { median, ratio, takeTurns, timed, type Contestant } from './parts/contestants.ts';
import { startStepPeer } from './parts/stepPeer.ts';
import { randomRows, trainingStep } from './parts/trainingSteps.ts';

const shape = { batch: 1024, width: 576, features: 8192, k: 64, threads: 2 };
const warmUp = 3;

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

async function benchTrainingStep(rounds: number): Promise<TrainingStepResult> {
  const peer = process.env['LOUPE_PYTHON']
    ? await startStepPeer(process.env['LOUPE_PYTHON'], shape)
    : undefined;
  const contestants: Contestant[] = [
    await product(),
    await trainingStep('Loupe hierarchical', shape, { objective: 'hierarchical' }),
    await trainingStep('Loupe topk', shape, { objective: 'topk' }),
    ...(peer ? [peer.contestant('hierarchical'), peer.contestant('topk')] : []),
  ];
  const times = await takeTurns(contestants, { rounds, warmUp });
  const against = (over: string, under: string, target: string) => ({
    ...ratio(times, over, under),
    target,
  });
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
        'PyTorch / Loupe, hierarchical': against(
          'PyTorch hierarchical',
          'Loupe hierarchical',
          'at least 2',
        ),
        'PyTorch / Loupe, topk': against('PyTorch topk', 'Loupe topk', ''),
      }),
      'Loupe hierarchical / encoder product': against(
        'Loupe hierarchical',
        'encoder product',
        'at most 2.5',
      ),
      'Loupe hierarchical / Loupe topk': against(
        'Loupe hierarchical',
        'Loupe topk',
        'at most 1.33',
      ),
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

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await benchTrainingStep(Number(process.argv[2] ?? 15)), null, 2));
}
