import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isRecord } from '../common/record.ts';
import type { Offer } from './modelFiles.ts';
import type { HubFiles } from './repository.ts';
import { walk } from './walk.ts';

/** A download that has begun and not ended. */
export interface Unfinished {
  readonly repository: string;
  /** What it was begun at. */
  readonly commit: string;
  readonly kind: Offer['kind'];
  /** The name of the offer. */
  readonly name: string;
  /** Paths in the repository. */
  readonly files: readonly string[];
}

/** Writes down what is being downloaded into the repository's folder; resolves to the mark, to be removed at the end. */
export async function markUnfinished(
  into: string,
  { id, commit }: HubFiles,
  { kind, name, files }: Offer,
): Promise<string> {
  const paths = files.map(({ path }) => path);
  const hash = createHash('sha256').update(paths.join('\n')).digest('hex').slice(0, 12);
  const mark = join(into, `.loupe-download-${hash}.json`);
  const unfinished: Unfinished = { repository: id, commit, kind, name, files: paths };
  await writeFile(mark, JSON.stringify(unfinished));
  return mark;
}

/** Whether a name is that of a download's mark. */
export function isMark(name: string): boolean {
  return /^\.loupe-download-[0-9a-f]{12}\.json$/.test(name);
}

/** What a mark says; undefined where it cannot be read. */
export async function readMark(mark: string): Promise<Unfinished | undefined> {
  try {
    const parsed: unknown = JSON.parse(await readFile(mark, 'utf8'));
    if (!isRecord(parsed) || !Array.isArray(parsed['files'])) return undefined;
    const { repository, commit, kind, name } = parsed;
    const texts = [repository, commit, name].every(value => typeof value === 'string');
    if (!texts || (kind !== 'model' && kind !== 'sae')) return undefined;
    return parsed as unknown as Unfinished;
  } catch {
    return undefined;
  }
}

/** The downloads under a folder that have begun and not ended. */
export async function findUnfinished(folder: string, signal: AbortSignal): Promise<Unfinished[]> {
  const found: Unfinished[] = [];
  for await (const { path, files } of walk(folder, signal)) {
    for (const name of files) {
      const unfinished = isMark(name) ? await readMark(join(path, name)) : undefined;
      if (unfinished) found.push(unfinished);
    }
  }
  return found;
}
