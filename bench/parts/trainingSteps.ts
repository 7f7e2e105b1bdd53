import { Random } from '../../src/common/random.ts';
import { readKernel } from '../../src/engine/kernelFile.ts';
import { RuntimeEncoder } from '../../src/engine/trainerEncoder.ts';
import { budgetsOf, candidatesOf, type ObjectiveName } from '../../src/training/objective.ts';
import { defaultSettings } from '../../src/training/settings.ts';
import { openSparsity } from '../../src/training/sparsity.ts';
import { TrainingKernel } from '../../src/training/trainingKernel.ts';
import { timed, type Contestant } from './contestants.ts';

export interface StepShape {
  readonly batch: number; // B
  readonly width: number; // D
  readonly features: number; // F
  readonly k: number; // K
  readonly threads: number;
}

/** Loupe's training step with random weights on random activations; without AuxK, for nothing is dead. */
export async function trainingStep(
  name: string,
  shape: StepShape,
  { objective, budgets }: { objective: ObjectiveName; budgets?: readonly number[] | undefined },
): Promise<Contestant> {
  const k = candidatesOf(objective, shape.k, shape.features);
  const settings = {
    ...defaultSettings,
    ...{ hook: 'hook_embed' as const, tokens: shape.batch, ...shape, objective, budgets },
  };
  const kernel = await TrainingKernel.open(await readKernel(), {
    ...shape,
    k,
    budgets: budgetsOf(objective, k, budgets),
    auxiliaryK: settings.auxiliaryK,
    decoderBias: true,
    separateTarget: false,
    unitDecoder: settings.unitDecoder,
  });
  const sparsity = openSparsity(settings);
  const encoder = await RuntimeEncoder.open(kernel);
  const rows = randomRows(shape.features, shape.width);
  kernel.encoder.value.set(rows);
  kernel.decoder.value.set(rows);
  kernel.input.set(randomRows(shape.batch, shape.width).map(v => v * Math.sqrt(shape.width)));
  let step = 0;
  return {
    name,
    run: () =>
      timed(async () => {
        await encoder.encode();
        sparsity.select(kernel);
        kernel.step({ ...settings, step: ++step, auxiliarySlots: 0 });
      }),
    dispose: async () => {
      await encoder.dispose();
      await kernel.dispose();
    },
  };
}

/** Rows of random direction and length 1. */
export function randomRows(count: number, width: number): Float32Array {
  const random = new Random(1);
  const rows = Float32Array.from({ length: count * width }, () => random.normal());
  for (let r = 0; r < count; r++) {
    const row = rows.subarray(r * width, (r + 1) * width);
    const length = Math.hypot(...row);
    row.forEach((v, i) => (row[i] = v / length));
  }
  return rows;
}
