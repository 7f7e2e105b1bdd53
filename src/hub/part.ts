import { open, readFile, rm, stat, writeFile, type FileHandle } from 'node:fs/promises';
import { isRecord } from '../common/record.ts';
import { partSuffix } from './safeName.ts';
import type { HubFile } from './repository.ts';

/** What has arrived of a file so far, beside its target, and what tells whether it is of the same content. */
export interface Part {
  readonly path: string;
  readonly notes: string;
  /** Bytes that can be kept. */
  readonly bytes: number;
  /** The server's strong validator of the content that the bytes are of. */
  readonly etag: string | undefined;
}

/** The part of a download that was broken off; an empty one where there is none, or one of other content. */
export async function readPart(target: string, file: HubFile): Promise<Part> {
  const path = `${target}${partSuffix}`;
  const notes = `${target}.json${partSuffix}`;
  const empty = { path, notes, bytes: 0, etag: undefined };
  const status = await stat(path).catch(() => undefined);
  const text = await readFile(notes, 'utf8').catch(() => '');
  if (!status?.isFile() || status.size === 0 || status.size > file.size) return empty;
  const noted = parse(text);
  if (!isRecord(noted) || noted['size'] !== file.size) return empty;
  if ((noted['digest'] ?? undefined) !== file.digest?.hex) return empty;
  const etag = typeof noted['etag'] === 'string' ? noted['etag'] : undefined;
  // With neither a checksum nor a validator nothing says that the rest would be of the same content.
  if (!file.digest && etag === undefined) return empty;
  return { ...empty, bytes: status.size, etag };
}

/** Opens the part for writing behind its first `bytes`, and notes what it is a part of. */
export async function openPart(
  part: Part,
  file: HubFile,
  { bytes, etag }: { readonly bytes: number; readonly etag: string | undefined },
): Promise<FileHandle> {
  await writeFile(part.notes, JSON.stringify({ size: file.size, digest: file.digest?.hex, etag }));
  const handle = await open(part.path, bytes === 0 ? 'w' : 'r+');
  await handle.truncate(bytes);
  return handle;
}

/** Forgets what has arrived. */
export async function dropPart({ path, notes }: Part): Promise<void> {
  await rm(path, { force: true });
  await rm(notes, { force: true });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
