import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Failure } from '../../common/failure.ts';
import type { Hook } from '../../contracts/hooks.ts';
import { requireHook } from './hookNames.ts';
import { readFields } from './jsonFields.ts';

/** What was chosen as an SAE: a folder, or a file in it. */
export interface SaePlace {
  /** As it was asked for, absolute. Links are not followed: published names are in the path, not behind it. */
  readonly path: string;
  readonly folder: string;
  /** The file's name; undefined: the folder was chosen. */
  readonly file: string | undefined;
  /** Names of what is in the folder. */
  readonly names: ReadonlySet<string>;
  readonly told: Told;
}

/** What a person said of an SAE whose files do not say it, or say it wrongly, in a loupe.json beside it. */
export interface Told {
  readonly hook?: Hook;
  /** Of a transcoder: the hook that it writes for. */
  readonly hookOut?: Hook;
  readonly k?: number;
  readonly model?: string;
  /** See `Dictionary.centred`. */
  readonly centred?: boolean;
  /** What the activations were multiplied by in training, where that is not in the weights: sqrt(D) / mean |x|. */
  readonly inputScale?: number;
}

/** Fails with `not-found` where there is nothing. */
export async function openPlace(given: string): Promise<SaePlace> {
  const path = resolve(given);
  const found = await stat(path).catch(() => undefined);
  if (!found) {
    throw new Failure('not-found', `There is no SAE at ${path}.`, {
      action: 'Choose the folder of an SAE, or its file of weights.',
    });
  }
  const folder = found.isDirectory() ? path : dirname(path);
  const file = found.isDirectory() ? undefined : basename(path);
  const names = new Set(await readdir(folder).catch(() => []));
  return { path, folder, file, names, told: await readTold(folder, file, names) };
}

/** The file of that name, of one file by itself first. */
async function readTold(
  folder: string,
  file: string | undefined,
  names: ReadonlySet<string>,
): Promise<Told> {
  const own = [`${file ?? ''}.loupe.json`, 'loupe.json'].find(name => names.has(name));
  if (own === undefined) return {};
  const fields = await readFields(join(folder, own));
  const has = (key: string) => (fields.json[key] ?? undefined) !== undefined;
  return {
    ...(has('hook') && { hook: requireHook(fields.json['hook'], fields.file, 'hook') }),
    ...(has('hookOut') && { hookOut: requireHook(fields.json['hookOut'], fields.file, 'hookOut') }),
    ...(has('k') && { k: fields.size('k') }),
    ...(has('model') && { model: fields.text('model') }),
    ...(has('inputScale') && { inputScale: fields.positive('inputScale') }),
    ...(has('centred') && { centred: fields.flag('centred', false) }),
  };
}

/** A fact that neither the files nor the path tell; `example` is what to write for it. */
export function untold({ path }: SaePlace, what: string, example: string): Failure {
  return new Failure('unsupported', `${path} does not say ${what}, nor do the names in its path.`, {
    action: `Write it into a file loupe.json beside it, as {${example}}.`,
  });
}

/** What the last part of the path that matches has as its first group. */
export function named({ path }: SaePlace, pattern: RegExp): string | undefined {
  for (const part of path.split(/[\\/]/).reverse()) {
    const found = pattern.exec(part)?.[1];
    if (found !== undefined) return found;
  }
  return undefined;
}
