import { Random } from '../../src/common/random.ts';
import { openKernelBackend } from '../../src/engine/training/trainingBackends.ts';
import type { OpenBackend } from '../../src/training/backend.ts';
import type { ObjectiveName } from '../../src/training/objective.ts';
import { defaultSettings } from '../../src/training/settings.ts';
import { timed, type Contestant } from './contestants.ts';

export interface StepShape {
  readonly batch: number; // B
  readonly width: number; // D
  readonly features: number; // F
  readonly k: number; // K
  readonly threads: number;
}

export interface StepChoices {
  readonly objective: ObjectiveName;
  readonly budgets?: readonly number[] | undefined;
  readonly openBackend?: OpenBackend;
  /** Steps that are timed together, of which the last one's losses are read. */
  readonly steps?: number;
}

/** Loupe's training step with random weights on random activations; without AuxK, for nothing is dead. */
export async function trainingStep(
  name: string,
  shape: StepShape,
  { objective, budgets, openBackend = openKernelBackend, steps = 1 }: StepChoices,
): Promise<Contestant> {
  const settings = {
    ...{ ...defaultSettings, ...shape, objective, budgets },
    ...{ hook: 'hook_embed' as const, tokens: shape.batch, auxiliaryK: 0 },
  };
  const backend = await openBackend({ settings, width: shape.width });
  const { arrays } = backend;
  const rows = randomRows(shape.features, shape.width);
  arrays.encoder.value.set(rows);
  arrays.decoder.value.set(rows);
  arrays.input.set(randomRows(shape.batch, shape.width).map(v => v * Math.sqrt(shape.width)));
  await backend.upload();
  let step = 0;
  const take = async (): Promise<void> => {
    for (let i = 1; i <= steps; i++) await backend.step({ ...settings, step: ++step }, i === steps);
  };
  return {
    name,
    run: async () => (await timed(take)) / steps,
    dispose: () => backend.dispose(),
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
