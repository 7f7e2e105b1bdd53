import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { HubFile } from './repository.ts';

/** The hash that a file of `size` bytes is checked by; undefined where the server named none. */
export function contentHash({ digest, size }: HubFile): Hash | undefined {
  if (!digest) return undefined;
  if (digest.kind !== 'blob-sha1') return createHash(digest.kind);
  return createHash('sha1').update(`blob ${String(size)}\0`);
}

/** Feeds the first `length` bytes of a file to the hash. */
export async function hashStart(
  hash: Hash,
  path: string,
  length: number,
  signal: AbortSignal,
): Promise<void> {
  if (length === 0) return;
  const stream = createReadStream(path, { end: length - 1, highWaterMark: 2 ** 20, signal });
  for await (const chunk of stream as AsyncIterable<Buffer>) hash.update(chunk);
}
