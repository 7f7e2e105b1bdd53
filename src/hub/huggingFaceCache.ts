import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfCancelled } from '../common/cancelled.ts';
import type { FoundThing } from '../contracts/foundThing.ts';
import { findInFolder } from './findInFolder.ts';
import { huggingFaceHome, type Environment } from './hubSettings.ts';

/** The folder that Hugging Face's tools download to. */
export function huggingFaceCache(environment: Environment): string {
  const named = environment['HF_HUB_CACHE'] ?? environment['HUGGINGFACE_HUB_CACHE'];
  return named ?? join(huggingFaceHome(environment), 'hub');
}

/** What lies in `models--OWNER--NAME/snapshots/COMMIT`: of each repository the commit of `main`, or any. */
export async function findInHuggingFaceCache(
  cache: string,
  signal: AbortSignal,
): Promise<FoundThing[]> {
  const found: FoundThing[] = [];
  for (const entry of await readdir(cache).catch(() => [])) {
    throwIfCancelled(signal);
    const [, id] = /^models--(.+)$/.exec(entry) ?? [];
    if (id === undefined) continue;
    const root = await snapshot(join(cache, entry));
    if (root === undefined) continue;
    const prefix = id.replace('--', '/');
    found.push(...(await findInFolder({ root, foundIn: 'huggingFace', prefix }, signal)));
  }
  return found;
}

async function snapshot(repository: string): Promise<string | undefined> {
  const commits = await readdir(join(repository, 'snapshots')).catch(() => []);
  const main = await readFile(join(repository, 'refs', 'main'), 'utf8').catch(() => '');
  const chosen = commits.find(commit => commit === main.trim()) ?? commits.sort().at(-1);
  return chosen === undefined ? undefined : join(repository, 'snapshots', chosen);
}
