import { existsSync, readFileSync } from 'node:fs';
import {
  copyFile,
  link,
  mkdir,
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
  return join(storage, `onnxruntime-cuda-${version}`);
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

/** Notes for `isRuntimeFrom` where the libraries of a runtime were taken from. */
export async function noteOrigin(folder: string, path: string): Promise<void> {
  await writeFile(join(folder, origin), await originOf(path));
}

const origin = 'origin.json';

async function originOf(path: string): Promise<string> {
  const { mtimeMs, size } = await stat(path).catch(() => ({ mtimeMs: 0, size: 0 }));
  return JSON.stringify({ path, mtimeMs, size });
}

/** Whether a runtime lies there whole: its libraries come last. */
export function isRuntime(folder: string): boolean {
  return existsSync(join(folder, 'node_modules', binaries, 'libonnxruntime_providers_cuda.so'));
}

/**
 * Lays out onnxruntime-node in a folder of its own beside further libraries, which onnxruntime 1.30 looks for only where its own
 * library is: linked from the installed packages, or copied, so that those stay as they are. `addLibraries` puts the libraries
 * into the folder that it is given. Nothing is at `folder` before all is there.
 */
export async function makeRuntime(
  modules: string,
  folder: string,
  addLibraries: (folder: string) => Promise<void>,
): Promise<void> {
  const made = `${folder}.new-${process.pid}`;
  await rm(made, { recursive: true, force: true });
  try {
    const into = join(made, 'node_modules');
    for (const path of packages) await linkAll(join(modules, ...path), join(into, ...path));
    await linkAll(join(modules, binaries), join(into, binaries));
    await addLibraries(join(into, binaries));
    await rm(folder, { recursive: true, force: true });
    await rename(made, folder);
  } finally {
    await rm(made, { recursive: true, force: true });
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
