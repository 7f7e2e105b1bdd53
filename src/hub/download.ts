import { mkdir, realpath, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { throwIfCancelled } from '../common/cancelled.ts';
import { Failure } from '../common/failure.ts';
import { formatBytes } from '../common/numbers.ts';
import { downloadFile } from './downloadFile.ts';
import type { HubClient } from './hubClient.ts';
import type { Offer } from './modelFiles.ts';
import { readPart } from './part.ts';
import type { HubFile, HubFiles } from './repository.ts';
import { safeRelativePath } from './safeName.ts';
import { markUnfinished } from './unfinished.ts';

/** What is wanted of a repository, and the folder of all downloads that it is to go under. */
export interface DownloadRequest {
  readonly repository: HubFiles;
  readonly offer: Offer;
  readonly folder: string;
}

export interface DownloadProgress {
  /** Of the whole download. */
  readonly bytes: number;
  readonly total: number;
  /** The file under way. */
  readonly path: string;
}

export interface DownloadHooks {
  readonly signal: AbortSignal;
  readonly report?: (progress: DownloadProgress) => void;
  /** Free bytes at a folder. */
  readonly freeSpace?: (folder: string) => Promise<number>;
}

/** Where a repository's files lie under the folder of all downloads. */
function repositoryFolder(folder: string, id: string): string {
  return join(folder, safeRelativePath(id));
}

/**
 * Brings the files, one after the other, into OWNER/NAME under the folder; resolves to what is to be opened there. A download that was broken
 * off is marked by a file until it ends. Throws before anything is written where a name is hostile or the disk
 * has not the space.
 */
export async function download(
  hub: HubClient,
  { repository, offer, folder }: DownloadRequest,
  { signal, report, freeSpace = bytesFree }: DownloadHooks,
): Promise<string> {
  const { files } = offer;
  if (files.length === 0)
    throw new Failure('empty', `There is nothing to download of ${repository.id}.`);
  const into = repositoryFolder(folder, repository.id);
  const wanted = targets(files, into);
  await mkdir(into, { recursive: true });
  await requireSpace(wanted, into, freeSpace);
  const mark = await markUnfinished(into, repository, offer);
  const total = files.reduce((sum, { size }) => sum + size, 0);
  let before = 0;
  for (const { file, target } of wanted) {
    throwIfCancelled(signal);
    await requireWithin(target, into);
    const path = file.path.split('/').map(encodeURIComponent).join('/');
    const url = hub.address(
      `${repository.id}/resolve/${encodeURIComponent(repository.commit)}/${path}`,
    );
    await downloadFile(
      hub,
      { file, url, target },
      { signal, report: bytes => report?.({ bytes: before + bytes, total, path: file.path }) },
    );
    before += file.size;
  }
  await rm(mark, { force: true });
  return offer.open === '.' ? into : join(into, safeRelativePath(offer.open));
}

interface Wanted {
  readonly file: HubFile;
  readonly target: string;
}

function targets(files: readonly HubFile[], into: string): readonly Wanted[] {
  const taken = new Set<string>();
  return files.map(file => {
    const target = join(into, safeRelativePath(file.path));
    // Many file systems know no difference between capitals and small letters.
    const key = target.toLowerCase().normalize('NFC');
    if (taken.has(key)) {
      throw new Failure('bad-file', `The repository has two files for ${file.path}.`, {
        action: 'Nothing was written.',
      });
    }
    taken.add(key);
    return { file, target };
  });
}

/** Makes the file's folder; a link that leads out of the download folder is not followed. */
async function requireWithin(target: string, into: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const [real, root] = [await realpath(dirname(target)), await realpath(into)];
  if (real === root || real.startsWith(root + sep)) return;
  throw new Failure('bad-file', `${target} is not in ${into}: a link leads elsewhere.`);
}

async function requireSpace(
  wanted: readonly Wanted[],
  into: string,
  freeSpace: (folder: string) => Promise<number>,
): Promise<void> {
  let missing = 0;
  for (const { file, target } of wanted) {
    const there = (await stat(target).catch(() => undefined))?.size === file.size;
    if (!there) missing += file.size - (await readPart(target, file)).bytes;
  }
  const free = await freeSpace(into);
  if (free >= missing) return;
  throw new Failure(
    'no-space',
    `The download needs ${formatBytes(missing)}, the disk of ${into} has ${formatBytes(free)} free.`,
    { action: 'Free some space, or choose another folder (loupe.hub.folder).' },
  );
}

async function bytesFree(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
