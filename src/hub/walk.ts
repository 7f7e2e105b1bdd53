import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfCancelled } from '../common/cancelled.ts';

/** A folder and what lies in it; links count as what they lead to. */
export interface WalkedFolder {
  readonly path: string;
  readonly files: ReadonlySet<string>;
  readonly folders: readonly string[];
}

export interface WalkLimits {
  readonly depth: number;
  /** Entries looked at. */
  readonly entries: number;
  readonly milliseconds: number;
}

const walkLimits: WalkLimits = { depth: 8, entries: 50_000, milliseconds: 4000 };

/** Folders that hold no models of the user's and many files. */
const skipped = new Set(['node_modules', '.git', '.hg', '.svn', '__pycache__', '.venv', 'venv']);

/**
 * The folders under `root`, breadth first, each once however many links lead to it; stops quietly at the limits, and
 * passes over what cannot be read. Aborts with the signal's reason.
 */
export async function* walk(
  root: string,
  signal: AbortSignal,
  limits: WalkLimits = walkLimits,
): AsyncGenerator<WalkedFolder> {
  const until = performance.now() + limits.milliseconds;
  const seen = new Set<string>();
  let level = [root];
  let entries = 0;
  for (let depth = 0; depth <= limits.depth && level.length > 0; depth++) {
    const next: string[] = [];
    for (const path of level) {
      throwIfCancelled(signal);
      if (entries > limits.entries || performance.now() > until) return;
      const real = await realpath(path).catch(() => undefined);
      if (real === undefined || seen.has(real)) continue;
      seen.add(real);
      const folder = await readFolder(path);
      entries += folder.files.size + folder.folders.length;
      yield folder;
      next.push(...folder.folders.filter(name => !skipped.has(name)).map(name => join(path, name)));
    }
    level = next;
  }
}

async function readFolder(path: string): Promise<WalkedFolder> {
  const files = new Set<string>();
  const folders: string[] = [];
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const of = entry.isSymbolicLink()
      ? await stat(join(path, entry.name)).catch(() => undefined)
      : entry;
    if (of?.isFile()) files.add(entry.name);
    else if (of?.isDirectory()) folders.push(entry.name);
  }
  return { path, files, folders: folders.sort() };
}
