import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { embeddedModel, embeddedSae } from '../common/embedded.ts';
import { Failure } from '../common/failure.ts';
import { deviceChoices } from '../contracts/devices.ts';
import type {
  DeviceChoice,
  LoadProgress,
  ModelRequest,
  PrecisionChoice,
} from '../contracts/engine.ts';
import { installedFile } from '../engine/installedFile.ts';
import type { Dictionary } from '../saes/dictionary.ts';
import { dictionaryHash } from '../saes/dictionaryHash.ts';
import { readDictionary } from '../saes/readDictionary.ts';
import { requireResidual } from '../saes/requireResidual.ts';
import { cacheFolder } from './cacheFolder.ts';
import type { Command, CommandInput, OptionValue } from './command.ts';

type Values = CommandInput['values'];

/** Options of every command that trains on a model as it is: what is trained is bound to its weights alone. */
export const plainModelOptions = {
  model: { type: 'string' },
  threads: { type: 'string' },
  cache: { type: 'string' },
} as const satisfies Command['options'];

/** Options of every command that runs a model. */
export const modelOptions = {
  ...plainModelOptions,
  routers: { type: 'string' },
} as const satisfies Command['options'];

/** Options of every command that runs on a device of the user's choice. */
export const deviceOptions = {
  device: { type: 'string' },
  precision: { type: 'string' },
} as const satisfies Command['options'];

/** Options of every command that runs an SAE on a model. */
export const saeOptions = {
  ...modelOptions,
  sae: { type: 'string' },
} as const satisfies Command['options'];

/** The model that `--model` names, or the embedded one, with the fitted routers that `--routers` names. */
export function modelRequest(values: Values): ModelRequest {
  const routers = text(values, 'routers');
  const device = text(values, 'device');
  const precision = text(values, 'precision');
  return {
    path: resolve(text(values, 'model') ?? installedFile(embeddedModel)),
    ...(routers !== undefined && { routers: resolve(routers) }),
    cacheFolder: resolve(text(values, 'cache') ?? cacheFolder()),
    threads: integer(values, 'threads', { min: 1, max: 256 }) ?? availableParallelism(),
    ...(device !== undefined && { device: deviceChoice(device) }),
    ...(precision !== undefined && { precision: precisionChoice(precision) }),
  };
}

function precisionChoice(name: string): PrecisionChoice {
  if (name === 'auto' || name === 'float32' || name === 'float16') return name;
  throw usage(`--precision is to be auto, float32 or float16, not ${name}.`);
}

function deviceChoice(name: string): DeviceChoice {
  const known = deviceChoices.find(choice => choice === name);
  if (known !== undefined) return known;
  throw usage(`--device is to be one of ${deviceChoices.join(', ')}, not ${name}.`);
}

/** The SAE that `--sae` (or another option) names, or the embedded one. */
export function saePath(values: Values, name = 'sae'): string {
  return resolve(text(values, name) ?? installedFile(embeddedSae));
}

/** The residual SAEs at `paths`, each checked to belong to the base. */
export async function readResiduals(
  paths: readonly string[],
  base: Dictionary,
): Promise<Dictionary[]> {
  const hash = paths.length > 0 ? dictionaryHash(base) : '';
  const residuals: Dictionary[] = [];
  for (const path of paths) {
    const residual = await readDictionary(resolve(path));
    requireResidual(residual, base, hash);
    residuals.push(residual);
  }
  return residuals;
}

/** The value of an option of one text, if it is given. */
export function text(values: Values, name: string): string | undefined {
  const value = values[name];
  if (value === undefined) return undefined;
  if (typeof value === 'string' && value !== '') return value;
  throw usage(`--${name} needs a value.`);
}

/** The values of an option that may be given several times. */
export function texts(values: Values, name: string): string[] {
  const value = values[name];
  const all: readonly OptionValue[] = Array.isArray(value) ? value : [value];
  return all.flatMap(one => {
    if (one === undefined) return [];
    if (typeof one === 'string' && one !== '') return [one];
    throw usage(`--${name} needs a value.`);
  });
}

export function requiredText(values: Values, name: string): string {
  const value = text(values, name);
  if (value === undefined) throw usage(`--${name} is missing.`);
  return value;
}

interface Range {
  readonly min: number;
  readonly max: number;
}

/** The value of an option that is a whole number in the range, if it is given. */
export function integer(values: Values, name: string, range: Range): number | undefined {
  return numeric(values, name, range, { kind: 'a whole number', form: /^\d+$/ });
}

/** The value of an option that is a number in the range, if it is given. */
export function number(values: Values, name: string, range: Range): number | undefined {
  return numeric(values, name, range, { kind: 'a number', form: /\S/ });
}

function numeric(
  values: Values,
  name: string,
  { min, max }: Range,
  { kind, form }: { readonly kind: string; readonly form: RegExp },
): number | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (form.test(value) && number >= min && number <= max) return number;
  throw usage(`--${name} is to be ${kind} from ${min} to ${max}, not '${value}'.`);
}

/** The one positional argument of a command. */
export function onlyPositional({ positionals }: CommandInput, name: string): string {
  const [value, ...more] = positionals;
  if (value === undefined) throw usage(`${name} is missing.`);
  if (more.length > 0)
    throw usage(`There is one ${name} at a time; '${more[0] ?? ''}' is too many.`);
  return value;
}

export function usage(message: string): Failure {
  return new Failure('usage', message, { action: 'See `loupe help`.' });
}

/** Logs each step of loading once. */
export function loadLog(log: (line: string) => void): (progress: LoadProgress) => void {
  let last = '';
  return ({ step }) => {
    if (step !== last) log(`${step} ...`);
    last = step;
  };
}
