import { resolve } from 'node:path';
import type { TensorflowChoice } from '../contracts/tensorflow.ts';
import { text, usage } from './arguments.ts';
import type { Command, CommandInput } from './command.ts';

/** Options of every command that trains an SAE. */
export const trainingBackendOptions = {
  backend: { type: 'string' },
  tensorflow: { type: 'string' },
} as const satisfies Command['options'];

/** What `--backend` and `--tensorflow` ask for; undefined: Loupe's own, on the device. */
export function tensorflowChoice(values: CommandInput['values']): TensorflowChoice | undefined {
  const backend = text(values, 'backend') ?? 'loupe';
  const path = text(values, 'tensorflow');
  if (backend === 'tensorflow') return path === undefined ? {} : { path: resolve(path) };
  if (backend !== 'loupe') throw usage(`--backend is to be loupe or tensorflow, not ${backend}.`);
  if (path !== undefined) throw usage('--tensorflow goes with --backend tensorflow.');
  return undefined;
}
