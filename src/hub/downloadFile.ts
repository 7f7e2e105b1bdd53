import type { FileHandle } from 'node:fs/promises';
import { rename, rm, stat } from 'node:fs/promises';
import { Failure } from '../common/failure.ts';
import { answerFailure } from './answerFailure.ts';
import { contentHash, hashStart } from './contentHash.ts';
import { chunksOf, connectionFailure, type HubClient, type Sent } from './hubClient.ts';
import { dropPart, openPart, readPart, type Part } from './part.ts';
import type { HubFile } from './repository.ts';
import { partSuffix } from './safeName.ts';

/** One file of a repository and where it is to lie. */
export interface FileToDownload {
  readonly file: HubFile;
  readonly url: URL;
  /** Its folder exists. */
  readonly target: string;
}

export interface DownloadOptions {
  readonly signal: AbortSignal;
  /** Bytes of this file that are here. */
  readonly report: (bytes: number) => void;
}

/**
 * Brings one file: goes on where it was broken off, checks its size and checksum, and renames it into place at the end.
 * A cancelled or failed download leaves what has arrived for the next; a wrong checksum leaves nothing.
 */
export async function downloadFile(
  hub: HubClient,
  wanted: FileToDownload,
  options: DownloadOptions,
): Promise<void> {
  const { file, target } = wanted;
  if (await isThere(wanted, options.signal)) {
    options.report(file.size);
    return;
  }
  let arrived = 0;
  const report = (bytes: number): void => options.report((arrived = bytes));
  const fetchAll = (): Promise<boolean> =>
    hub.retrying(
      options.signal,
      () => fetchRest(hub, wanted, { ...options, report }),
      () => arrived,
    );
  try {
    const resumed = await fetchAll();
    let right = await isRight(wanted, options.signal);
    if (!right && resumed) {
      // The part may have been spoilt on this side: once more from the start.
      await dropPart(await readPart(target, file));
      await fetchAll();
      right = await isRight(wanted, options.signal);
    }
    if (!right) {
      throw new Failure('bad-file', `${file.path} arrived with another content than announced.`, {
        action: 'It was deleted. Try again; a proxy on the way may change what it passes on.',
      });
    }
    const part = await readPart(target, file);
    await rename(part.path, target);
    await rm(part.notes, { force: true });
  } catch (error) {
    if (Failure.is(error, 'bad-file')) await dropPart(await readPart(target, file));
    throw options.signal.aborted ? Failure.from(options.signal.reason) : diskFailure(error, target);
  }
}

/** Whether the very file lies there already. */
async function isThere({ file, target }: FileToDownload, signal: AbortSignal): Promise<boolean> {
  const status = await stat(target).catch(() => undefined);
  if (!status?.isFile() || status.size !== file.size || !file.digest) return false;
  return await hasDigest(file, target, signal);
}

/** Whether all has arrived, and is what was announced. */
async function isRight({ file, target }: FileToDownload, signal: AbortSignal): Promise<boolean> {
  const path = `${target}${partSuffix}`;
  const status = await stat(path).catch(() => undefined);
  return status?.size === file.size && (await hasDigest(file, path, signal));
}

async function hasDigest(file: HubFile, path: string, signal: AbortSignal): Promise<boolean> {
  const hash = contentHash(file);
  if (!hash) return true;
  await hashStart(hash, path, file.size, signal);
  return hash.digest('hex') === file.digest?.hex;
}

/** Gets what is missing; resolves to whether it went on from a part. */
async function fetchRest(
  hub: HubClient,
  { file, url, target }: FileToDownload,
  { signal, report }: DownloadOptions,
): Promise<boolean> {
  const part = await readPart(target, file);
  report(part.bytes);
  if (part.bytes === file.size && file.size > 0) return true;
  const sent = await hub.send(url, rangeHeaders(part), signal);
  try {
    const { response } = sent;
    if (response.status === 416) {
      await response.body?.cancel();
      await dropPart(part);
      throw new Failure('unreachable', `${url.host} has no rest of ${file.path}.`);
    }
    if (!response.ok) throw await answerFailure(response, file.path, hub.endpoint);
    const from = continues(response, part, file) ? part.bytes : 0;
    const handle = await openPart(part, file, { bytes: from, etag: strongEtag(response) });
    try {
      await writeBody(sent, handle, { file, from, report });
      await handle.sync();
    } finally {
      await handle.close();
    }
    return from > 0;
  } catch (error) {
    // What a socket says of its end is no system failure of the disk.
    throw isSystemError(error) ? error : connectionFailure(error, url);
  } finally {
    sent.done();
  }
}

function rangeHeaders({ bytes, etag }: Part): Readonly<Record<string, string>> {
  // Compressed on the way, ranges would be of something else.
  const plain = { 'accept-encoding': 'identity' };
  if (bytes === 0) return plain;
  return { ...plain, range: `bytes=${bytes}-`, ...(etag !== undefined && { 'if-range': etag }) };
}

/** Whether the answer is the rest that was asked for, and not the whole, which may be new. */
function continues({ status, headers }: Response, { bytes }: Part, { size }: HubFile): boolean {
  if (status !== 206) return false;
  const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers.get('content-range') ?? '');
  const [, start, , total] = range ?? [];
  if (Number(start) === bytes && (total === '*' || Number(total) === size)) return true;
  throw new Failure('unreachable', 'The server sent another range than was asked for.');
}

function strongEtag({ headers }: Response): string | undefined {
  const etag = headers.get('etag');
  return etag !== null && /^"[\x21\x23-\x7e]{1,256}"$/.test(etag) ? etag : undefined;
}

async function writeBody(
  { response, alive }: Sent,
  handle: FileHandle,
  {
    file,
    from,
    report,
  }: { readonly file: HubFile; readonly from: number; readonly report: (bytes: number) => void },
): Promise<void> {
  let at = from;
  for await (const chunk of chunksOf(response)) {
    alive();
    if (at + chunk.length > file.size) {
      throw new Failure(
        'bad-file',
        `${file.path} is longer than the ${file.size} bytes announced.`,
        {
          action: 'Try again later: the file may have been changed meanwhile.',
        },
      );
    }
    for (let done = 0; done < chunk.length;) {
      const { bytesWritten } = await handle.write(chunk, done, chunk.length - done, at + done);
      done += bytesWritten;
    }
    at += chunk.length;
    report(at);
  }
  if (at === file.size) return;
  throw new Failure('unreachable', `${file.path} ended at byte ${at} of ${file.size}.`, {
    action: 'Try again: what has arrived is kept.',
  });
}

function isSystemError(error: unknown): boolean {
  return (
    error instanceof Error &&
    'syscall' in error &&
    /^(write|open|ftruncate|fsync)$/.test(String(error.syscall))
  );
}

function diskFailure(error: unknown, path: string): Failure {
  const failure = Failure.from(error);
  if (failure.code !== 'no-space') return failure;
  return new Failure('no-space', `The disk is full: ${path} could not be written.`, {
    action: 'Free some space and try again: what has arrived is kept.',
    cause: error,
  });
}
