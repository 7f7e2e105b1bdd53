import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';

/** Decoded weights that no model was loaded with for so long, in milliseconds, are dropped: they can be made again. */
const unusedFor = 30 * 24 * 60 * 60 * 1000;

/** Notes that a cache file was used now: the time of the record beside it. */
export async function markUsed(path: string): Promise<void> {
  const now = new Date();
  await utimes(`${path}.json`, now, now).catch(() => undefined);
}

/** Deletes the folder's decoded weights that have not been used for a month; what is in use elsewhere stays. */
export async function dropUnused(folder: string, now = Date.now()): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter(each => each.endsWith('.f32'))) {
    const path = join(folder, name);
    const record = await stat(`${path}.json`).catch(() => stat(path).catch(() => undefined));
    if (!record || now - record.mtimeMs < unusedFor) continue;
    await Promise.all([path, `${path}.json`].map(file => rm(file, { force: true }))).catch(
      () => undefined,
    );
  }
}
