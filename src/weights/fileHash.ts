import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, realpath, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfCancelled } from '../common/cancelled.ts';

/** The sha256 of a file, hex; kept in `cacheFolder` under the file's path, size and time of change. */
export async function fileHash(
  path: string,
  options: {
    readonly cacheFolder: string;
    readonly signal?: AbortSignal | undefined;
    readonly report?: ((fraction: number) => void) | undefined;
  },
): Promise<string> {
  const real = await realpath(path);
  const status = await stat(real);
  const key = sha256(`${real}\n${status.size}\n${status.mtimeMs}`);
  const record = join(options.cacheFolder, 'hashes', key);
  const kept = await readFile(record, 'utf8').catch(() => '');
  if (/^[0-9a-f]{64}$/.test(kept)) return kept;
  const hash = createHash('sha256');
  let read = 0;
  for await (const part of createReadStream(real, { highWaterMark: 1 << 22 })) {
    throwIfCancelled(options.signal);
    if (!(part instanceof Uint8Array)) continue;
    hash.update(part);
    read += part.length;
    options.report?.(read / status.size);
  }
  const hex = hash.digest('hex');
  await keep(record, hex);
  return hex;
}

/** A hash that could not be kept is computed again next time: that is no failure. */
async function keep(record: string, hex: string): Promise<void> {
  try {
    await mkdir(join(record, '..'), { recursive: true });
    await writeFile(`${record}.${process.pid}`, hex);
    await rename(`${record}.${process.pid}`, record);
  } catch {
    return;
  }
}

/** The sha256 of a text, hex. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
