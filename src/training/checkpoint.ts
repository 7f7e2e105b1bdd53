import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../common/failure.ts';
import { SafetensorsFile, writeSafetensors, type Tensor } from '../weights/safetensors.ts';
import type { TrainingArrays } from './backend.ts';
import type { RowPosition } from './activations/shuffledRows.ts';
import type { TrainingSettings } from './settings.ts';
import type { Sparsity } from './sparsity.ts';
import type { TokenStatistics } from './tokenStatistics.ts';
import { trainingTensors } from './trainingTensors.ts';

/** One point of the loss curve. */
export interface CurvePoint {
  readonly step: number;
  readonly loss: number;
  readonly ev: number;
  readonly dead: number;
}

/** What a training remembers besides its arrays and those of its sparsity. */
export interface TrainingState {
  readonly settings: TrainingSettings;
  readonly statistics: TokenStatistics;
  readonly heldOut: readonly number[];
  readonly step: number;
  readonly position: RowPosition;
  readonly curve: readonly CurvePoint[];
  /** Seconds spent in steps, over all sittings. */
  readonly seconds: number;
}

/** Writes a safetensors file atomically; tests put another in its place. */
export type CheckpointWriter = typeof writeSafetensors;

const format = '2';
/** Two files take turns: while one is written, the other is whole. */
const generations = ['checkpoint.0.safetensors', 'checkpoint.1.safetensors'] as const;

/** Saves weights, moments, counters and state in place of the older of the folder's two checkpoints. */
export async function writeCheckpoint(
  folder: string,
  arrays: TrainingArrays,
  sparsity: Sparsity,
  state: TrainingState,
  write: CheckpointWriter = writeSafetensors,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const steps = await Promise.all(generations.map(name => stepOf(join(folder, name))));
  const [first = -1, second = -1] = steps;
  const path = join(folder, first <= second ? generations[0] : generations[1]);
  await write(path, copiesOf(trainingTensors(arrays, sparsity)), {
    loupe_checkpoint: format,
    state: JSON.stringify(state),
  });
}

/** The newest whole checkpoint of a folder; undefined where there is none. Fails where there are only broken ones. */
export async function findCheckpoint(
  folder: string,
): Promise<{ readonly state: TrainingState; readonly file: SafetensorsFile } | undefined> {
  const names: readonly string[] = await readdir(folder).catch(() => []);
  const present = generations.filter(name => names.includes(name));
  const found = await Promise.allSettled(present.map(name => open(join(folder, name))));
  const whole = found.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []));
  const newest = whole.sort((a, b) => b.state.step - a.state.step)[0];
  const broken = found.find(result => result.status === 'rejected');
  if (!newest && broken) throw Failure.from(broken.reason);
  return newest;
}

/** Puts a checkpoint's arrays into those of the same shape and the objective's sparsity. */
export async function restoreArrays(
  file: SafetensorsFile,
  arrays: TrainingArrays,
  sparsity: Sparsity,
): Promise<void> {
  for (const [name, tensor] of Object.entries(trainingTensors(arrays, sparsity))) {
    const entry = file.tensors.get(name);
    if (entry?.dtype !== tensor.dtype || entry.shape.join() !== tensor.shape.join()) {
      throw new Failure(
        'bad-file',
        `${file.path}: tensor ${name} is ${entry ? `${entry.dtype} [${entry.shape.join(', ')}]` : 'missing'}, expected ${tensor.dtype} [${tensor.shape.join(', ')}].`,
      );
    }
    const { data } = await file.read(name);
    tensor.data.set(data as never);
  }
}

async function stepOf(path: string): Promise<number> {
  return open(path).then(
    ({ state }) => state.step,
    () => -1,
  );
}

async function open(path: string): Promise<{ state: TrainingState; file: SafetensorsFile }> {
  const file = await SafetensorsFile.open(path);
  const text = file.metadata.get('state');
  if (file.metadata.get('loupe_checkpoint') !== format || text === undefined) {
    throw new Failure('bad-file', `${path} is not a checkpoint of this version of Loupe.`, {
      action: 'Train into another folder.',
    });
  }
  return { state: JSON.parse(text) as TrainingState, file };
}

/** Files are not written from shared memory. */
function copiesOf(tensors: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
  const copies = Object.entries(tensors).map(([name, tensor]) => [
    name,
    { ...tensor, data: tensor.data.slice() },
  ]);
  return Object.fromEntries(copies) as Record<string, Tensor>;
}
