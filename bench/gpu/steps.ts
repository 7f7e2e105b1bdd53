import type { Device } from '../../src/contracts/engine.ts';
import { GraphBackend } from '../../src/engine/training/graphBackend.ts';
import { openSession } from '../../src/engine/sessions/session.ts';
import { float32Tensor } from '../../src/engine/sessions/tensors.ts';
import { keepsOutputs } from '../../src/onnx/devices.ts';
import { Graph } from '../../src/onnx/graph.ts';
import { median, takeTurns, timed, type Contestant } from '../parts/contestants.ts';
import { startStepPeer } from '../parts/stepPeer.ts';
import { randomRows, trainingStep, type StepShape } from '../parts/trainingSteps.ts';

export interface Measured {
  readonly device: Device;
  readonly rounds: number;
  /** Steps that are timed together. */
  readonly steps: number;
  readonly threads: number;
  readonly torch: 'cpu' | 'cuda';
  /** A Python with torch. */
  readonly python: string | undefined;
}

export interface StepRow {
  readonly shape: StepShape;
  readonly peer: string | undefined;
  /** Medians over the rounds, milliseconds of a step. */
  readonly milliseconds: Readonly<Record<string, number>>;
}

const objectives = ['hierarchical', 'topk'] as const;

/** The training step of a shape by Loupe on the device and by PyTorch, and the ceilings of both. */
export async function stepTable(shape: StepShape, measured: Measured): Promise<StepRow> {
  const { device, rounds, steps, python, torch } = measured;
  const peer =
    python === undefined ? undefined : await startStepPeer(python, shape, { device: torch, steps });
  const holdsTensors = keepsOutputs(device);
  const own: Contestant[] = [];
  for (const objective of objectives) {
    own.push(
      await trainingStep(`Loupe ${objective}`, shape, {
        ...{ objective, steps },
        openBackend: request => GraphBackend.open(request, { device, holdsTensors }),
      }),
    );
  }
  own.push(await product(shape, measured));
  const words = objectives.flatMap(name => [`${name} compiled`, `${name} compiled tf32`]);
  const peers = peer ? [...words, 'product', 'copy'].map(word => peer.contestant(word)) : [];
  const times = await takeTurns([...own, ...peers], { rounds, warmUp: 2 });
  return {
    shape,
    peer: peer?.version,
    milliseconds: Object.fromEntries(Array.from(times, ([name, all]) => [name, median(all)])),
  };
}

/** The encoder's product alone in onnxruntime on the device: below it no step can go. */
async function product(
  { batch, width, features, threads }: StepShape,
  { device, steps }: Measured,
): Promise<Contestant> {
  const graph = new Graph();
  const weights = graph.float32(randomRows(features, width), [features, width]);
  const x = graph.input('x', 'float32', [batch, width]);
  const result = graph.op('Gemm', [x, weights], { transB: 1n });
  // Only one number is let out, so that no copy of the output is measured.
  const first = graph.op('Slice', [result, ...[0, 1, 0].map(at => graph.int64([at]))]);
  graph.output(graph.op('ReduceMax', [first], { keepdims: 0n }), 'y', 'float32', []);
  const session = await openSession(graph.bytes(), { threads, device });
  const feeds = { x: float32Tensor(randomRows(batch, width), [batch, width]) };
  const take = async (): Promise<void> => {
    for (let i = 0; i < steps; i++) await session.run(feeds);
  };
  return {
    name: 'Loupe product',
    run: async () => (await timed(take)) / steps,
    dispose: () => session.dispose(),
  };
}
