import { existsSync, readFileSync } from 'node:fs';
import {
  copyFile,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Failure } from '../common/failure.ts';
import { parseRecord } from '../common/record.ts';

/** Within a folder of packages. */
const binaries = join('onnxruntime-node', 'bin', 'napi-v6', 'linux', 'x64');
const packages: readonly (readonly string[])[] = [
  ['onnxruntime-node', 'package.json'],
  ['onnxruntime-node', 'dist'],
  ['onnxruntime-common', 'package.json'],
  ['onnxruntime-common', 'dist'],
];

/** The version of the onnxruntime-node in a folder of packages (node_modules). */
export function runtimeVersionIn(modules: string): string {
  const path = join(modules, 'onnxruntime-node', 'package.json');
  const { version } = parseRecord(readFileSync(path, 'utf8'), path);
  if (typeof version === 'string' && /^[\w.-]{1,40}$/.test(version)) return version;
  throw new Failure('bad-file', `${path} names no version.`);
}

/** Where under a storage folder the runtime with CUDA's libraries is, of one version of onnxruntime. */
export function runtimeFolder(storage: string, version: string): string {
  return join(storage, `${prefix}${version}`);
}

/** The same with libraries that the user has elsewhere: beside that with the downloaded ones. */
export function ownRuntimeFolder(storage: string, version: string): string {
  return `${runtimeFolder(storage, version)}-own`;
}

/** Whether the runtime's libraries were taken from that file or folder, and it is as it was. */
export async function isRuntimeFrom(folder: string, path: string): Promise<boolean> {
  if (!isRuntime(folder)) return false;
  const noted = await readFile(join(folder, origin), 'utf8').catch(() => '');
  return noted === (await originOf(path));
}

const origin = 'origin.json';

const prefix = 'onnxruntime-cuda-';
/** In the names of those that are not yet whole. */
const unfinished = '.new-';
/** Milliseconds that one of them may take: a day. */
const oldest = 24 * 3600 * 1000;

async function originOf(path: string): Promise<string> {
  const { mtimeMs, size } = await stat(path).catch(() => ({ mtimeMs: 0, size: 0 }));
  return JSON.stringify({ path, mtimeMs, size });
}

/** Whether a runtime lies there whole: its libraries come last. */
export function isRuntime(folder: string): boolean {
  return existsSync(join(folder, 'node_modules', binaries, 'libonnxruntime_providers_cuda.so'));
}

/** What is put beside onnxruntime. */
export interface RuntimeLibraries {
  /** Noted for `isRuntimeFrom`: where they are taken from. */
  readonly from?: string;
  /** Puts them into the folder that it is given. */
  readonly add: (folder: string) => Promise<void>;
}

/**
 * Lays out onnxruntime-node in a folder of its own beside further libraries, which onnxruntime 1.30 looks for only where its own
 * library is: linked from the installed packages, or copied, so that those stay as they are. Nothing is at
 * `folder` before all is there. What is there already stays if it is the same: it may be in use.
 */
export async function makeRuntime(
  modules: string,
  folder: string,
  { from, add }: RuntimeLibraries,
): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  await sweep(dirname(folder));
  const made = await mkdtemp(`${folder}${unfinished}`);
  try {
    const into = join(made, 'node_modules');
    for (const path of packages) await linkAll(join(modules, ...path), join(into, ...path));
    await linkAll(join(modules, binaries), join(into, binaries));
    await add(join(into, binaries));
    if (from !== undefined) await writeFile(join(made, origin), await originOf(from));
    await putInPlace(made, folder);
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}

/** Deletes what a process that was ended left behind: what another window is at is younger. */
async function sweep(storage: string): Promise<void> {
  const names = (await readdir(storage)).filter(
    name => name.startsWith(prefix) && name.includes(unfinished),
  );
  for (const path of names.map(name => join(storage, name))) {
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Infinity }));
    if (Date.now() - mtimeMs < oldest) continue;
    // Of no use, but not in the way either.
    await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** Other windows may be doing the same: whoever comes second finds it done, or takes the place of what is another. */
async function putInPlace(made: string, folder: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await rename(made, folder);
      return;
    } catch (error) {
      const isTaken = ['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '');
      if (!isTaken || attempt === 5) throw error;
      if (await isSame(made, folder)) return;
    }
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Whether two folders have the same files, by names and sizes, from the same origin. */
async function isSame(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([a, b].map(contents));
  return one !== undefined && one === other;
}

/** Undefined where that cannot be said, as of a folder that is not there, or that another window deletes meanwhile. */
async function contents(folder: string): Promise<string | undefined> {
  try {
    const names = (await readdir(folder, { recursive: true })).sort();
    const sizes = await Promise.all(
      names.map(async name => {
        const found = await stat(join(folder, name));
        return [name, found.isFile() ? found.size : 'folder'];
      }),
    );
    const noted = await readFile(join(folder, origin), 'utf8').catch(() => '');
    return JSON.stringify([noted, sizes]);
  } catch {
    return undefined;
  }
}

/** A file, or all files of a folder with those below it. */
async function linkAll(from: string, to: string): Promise<void> {
  const names = await readdir(from, { withFileTypes: true }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (!names) {
    await mkdir(dirname(to), { recursive: true });
    // Another file system, or one without links.
    await link(from, to).catch(() => copyFile(from, to));
    return;
  }
  for (const { name } of names) await linkAll(join(from, name), join(to, name));
}
