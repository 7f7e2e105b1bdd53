import { mkdir, rm, stat, statfs, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { throwIfCancelled } from '../common/cancelled.ts';
import { Failure } from '../common/failure.ts';
import { formatBytes } from '../common/numbers.ts';
import { downloadFile } from '../hub/downloadFile.ts';
import { HubClient, type HubClientOptions } from '../hub/hubClient.ts';
import { readPart } from '../hub/part.ts';
import {
  cudaFeed,
  cudaPackage,
  librariesInFolder,
  librariesInPackage,
  requireLibrary,
} from './cudaLibraries.ts';
import { findPackage, type NugetPackage } from './nugetPackage.ts';
import { isRuntime, makeRuntime, runtimeFolder, runtimeVersionIn } from './runtimeFolder.ts';

/** Where things are on this machine. */
export interface CudaPlaces {
  /** The folder of packages that has the installed onnxruntime-node. */
  readonly modules: string;
  /** The folder that runtimes and downloads go to. */
  readonly storage: string;
}

export interface InstallOptions {
  readonly signal: AbortSignal;
  readonly report?: (progress: CudaProgress) => void;
  /** Free bytes at a folder. */
  readonly freeSpace?: (folder: string) => Promise<number>;
}

export interface CudaProgress {
  readonly step: string;
  readonly bytes: number;
  readonly total: number;
}

/** What a download would bring. */
export interface CudaOffer {
  readonly found: NugetPackage;
  readonly feed: HubClient;
  /** Bytes to download, less what has arrived before. */
  readonly missing: number;
  /** Where it would go. */
  readonly folder: string;
  readonly isThere: boolean;
}

/** Asks the feed (onnxruntime's own unless given) for the libraries of the installed version; nothing is downloaded. */
export async function offerCuda(
  places: CudaPlaces,
  signal: AbortSignal,
  { index = cudaFeed, ...options }: HubClientOptions & { readonly index?: string | undefined } = {},
): Promise<CudaOffer> {
  requireMachine();
  const version = runtimeVersionIn(places.modules);
  if (!/^https?:/.test(index) || !URL.canParse(index)) {
    throw new Failure('usage', `'${index.slice(0, 120)}' is no address of a feed.`);
  }
  const feed = new HubClient({ endpoint: new URL(index), token: undefined }, options);
  const found = await findPackage(feed, { name: cudaPackage, version }, signal).catch(notOfTheHub);
  const folder = runtimeFolder(places.storage, version);
  const { bytes } = await readPart(join(places.storage, found.file.path), found.file);
  return { found, feed, folder, missing: found.file.size - bytes, isThere: isRuntime(folder) };
}

/** Downloads what was offered, goes on where an earlier one was broken off, and lays out the runtime; resolves to its folder. */
export async function downloadCuda(
  places: CudaPlaces,
  { found, feed, missing, folder }: CudaOffer,
  options: InstallOptions,
): Promise<string> {
  const { storage } = places;
  const { file, url } = found;
  await mkdir(storage, { recursive: true });
  // Unpacked it is about as large again: what of a library is code for graphics cards is packed already.
  await requireSpace(storage, missing + file.size, options);
  const target = join(storage, file.path);
  const report = (bytes: number): void =>
    options.report?.({ step: 'Downloading', bytes, total: file.size });
  await downloadFile(feed, { file, url, target }, { signal: options.signal, report }).catch(
    notOfTheHub,
  );
  try {
    await fromPackage(places, { path: target }, folder, options);
  } catch (error) {
    // What is no package, though it is what the feed has, is of no use to the next attempt.
    if (Failure.is(error, 'bad-file')) await rm(target, { force: true });
    throw error;
  }
  await rm(target, { force: true });
  return folder;
}

/**
 * Lays out the runtime, at `folder` if it is named, with libraries of the user's: a folder that has them, which is linked to,
 * or a package.
 */
export async function installCudaFrom(
  places: CudaPlaces,
  path: string,
  options: InstallOptions & { readonly folder?: string },
): Promise<string> {
  requireMachine();
  const from = resolve(path);
  const folder = options.folder ?? runtimeFolder(places.storage, runtimeVersionIn(places.modules));
  const status = await stat(from).catch(() => undefined);
  if (!status) {
    throw new Failure('not-found', `There is no ${from}.`, {
      action: "Name a folder with onnxruntime's CUDA libraries, or a package that has them.",
    });
  }
  await mkdir(places.storage, { recursive: true });
  if (!status.isDirectory()) await fromPackage(places, { path: from, from }, folder, options);
  else {
    const libraries = await librariesInFolder(from);
    throwIfCancelled(options.signal);
    const add = async (into: string): Promise<void> => {
      for (const [name, at] of libraries) await symlink(at, join(into, name));
    };
    await makeRuntime(places.modules, folder, { from, add });
  }
  return folder;
}

async function fromPackage(
  { modules, storage }: CudaPlaces,
  { path, ...origin }: { readonly path: string; readonly from?: string },
  folder: string,
  options: InstallOptions,
): Promise<void> {
  const { zip, entries } = await librariesInPackage(path);
  const total = [...entries.values()].reduce((sum, { size }) => sum + size, 0);
  await requireSpace(storage, total, options);
  const add = async (into: string): Promise<void> => {
    let before = 0;
    for (const [name, entry] of entries) {
      options.report?.({ step: `Unpacking ${name}`, bytes: before, total });
      await zip.unpack(entry.name, join(into, name), options.signal);
      await requireLibrary(join(into, name));
      before += entry.size;
    }
    options.report?.({ step: 'Unpacked', bytes: total, total });
  };
  await makeRuntime(modules, folder, { ...origin, add });
}

/** onnxruntime has the provider for Linux on x64 alone; WebGPU it has on Windows and macOS too, on other Linuxes nothing but the CPU. */
export function requireMachine(machine = `${process.platform}-${process.arch}`): void {
  if (machine === 'linux-x64') return;
  throw new Failure('unsupported', `onnxruntime-node has CUDA on Linux x64; this is ${machine}.`, {
    action: /^(win32|darwin)-/.test(machine) ? 'Use webgpu.' : 'Use cpu.',
  });
}

async function requireSpace(
  folder: string,
  bytes: number,
  { freeSpace = bytesFree }: InstallOptions,
): Promise<void> {
  const free = await freeSpace(folder);
  if (free >= bytes) return;
  throw new Failure(
    'no-space',
    `CUDA's libraries need ${formatBytes(bytes)}, the disk of ${folder} has ${formatBytes(free)} free.`,
    { action: 'Free some space and try again: what has arrived is kept.' },
  );
}

async function bytesFree(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** The client speaks of the Hub's settings, which do not help here. */
function notOfTheHub(error: unknown): never {
  const failure = Failure.from(error);
  if (!['unreachable', 'no-access'].includes(failure.code)) throw failure;
  throw new Failure(failure.code, failure.message.replace('The Hub’s', 'The'), {
    action:
      'Check the connection and the proxy, or name a file or folder that has the libraries. What has arrived is kept.',
    cause: failure,
  });
}
