import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelConfig } from '../../../src/models/model.ts';
import { writeText } from '../report.ts';
import { arms, type Arm } from './arms.ts';
import type { HeldOutPoint } from './checkpoint.ts';

/** One training: an arm with a seed. */
export interface Cell {
  readonly arm: string;
  readonly seed: number;
}

/** What all trainings of the experiment have in common. */
export interface Settings {
  readonly shape: Omit<ModelConfig, 'architecture' | 'name'>;
  /** Windows of T tokens in each step, one run each. */
  readonly windows: number;
  readonly steps: number;
  /** Steps in which the learning rate rises; then it goes down as a cosine, to `leastRate` of the highest. */
  readonly warmUp: number;
  readonly leastRate: number;
  /** Windows of the held-out text at the end, and every `every` steps. */
  readonly heldOutWindows: number;
  readonly soonWindows: number;
  readonly every: number;
}

export interface Trained extends Cell {
  readonly parameters: number;
  /** Mean surprisal of each step's tokens, in nats. */
  readonly losses: readonly number[];
  /** On the first windows of the held-out text. */
  readonly heldOut: readonly HeldOutPoint[];
  /** On all of them: mean surprisal in nats per token. */
  readonly ce: number;
  readonly seconds: number;
  /** The paper's Fig. 5 (L, L): shares of the mean |R|; empty for a Llama. */
  readonly map: readonly number[];
}

export function armNamed(name: string): Arm {
  const arm = arms.find(one => one.name === name);
  if (!arm) throw new Error(`no arm ${name}; there are ${arms.map(one => one.name).join(', ')}`);
  return arm;
}

export function configOf({ shape }: Settings, arm: Arm): ModelConfig {
  return { ...shape, architecture: arm.architecture, name: arm.name };
}

export function cellFolder(out: string, { arm, seed }: Cell): string {
  return join(out, `${arm}.${seed}`);
}

export async function readTrained(out: string, cell: Cell): Promise<Trained | undefined> {
  const path = join(cellFolder(out, cell), 'trained.json');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Trained);
}

export async function writeTrained(out: string, trained: Trained): Promise<void> {
  const folder = cellFolder(out, trained);
  await mkdir(folder, { recursive: true });
  await writeText(join(folder, 'trained.json'), JSON.stringify(trained));
}
