import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../common/failure.ts';
import { ZipFile, type ZipEntry } from '../weights/zipFile.ts';

/** Where onnxruntime-node's own install script (script/install-metadata.js) gets the provider's libraries from. */
export const cudaFeed = 'https://api.nuget.org/v3/index.json';
export const cudaPackage = 'Microsoft.ML.OnnxRuntime.Gpu.Linux';

/** What the CUDA provider consists of; the package has a third library, TensorRT's, which Loupe does not use. */
export const cudaLibraries: readonly string[] = [
  'libonnxruntime_providers_cuda.so',
  'libonnxruntime_providers_shared.so',
];

/** The entries of a package (NuGet's, or a wheel of onnxruntime-gpu) that are the libraries, by their names. */
export async function librariesInPackage(
  path: string,
): Promise<{ readonly zip: ZipFile; readonly entries: ReadonlyMap<string, ZipEntry> }> {
  const zip = await ZipFile.open(path);
  const entries = new Map<string, ZipEntry>();
  for (const name of cudaLibraries) {
    const [entry, ...others] = [...zip.entries.values()].filter(
      entry => entry.name === name || entry.name.endsWith(`/${name}`),
    );
    if (entry && others.length === 0) entries.set(name, entry);
    else throw notThere(path, name, `${others.length + (entry ? 1 : 0)} of it`);
  }
  return { zip, entries };
}

/** The paths of the libraries in a folder, by their names; each is one for Linux on x64. */
export async function librariesInFolder(folder: string): Promise<ReadonlyMap<string, string>> {
  const paths = new Map<string, string>();
  for (const name of cudaLibraries) {
    const path = join(folder, name);
    const status = await stat(path).catch(() => undefined);
    if (!status?.isFile()) throw notThere(folder, name, 'none');
    await requireLibrary(path);
    paths.set(name, path);
  }
  return paths;
}

/** Throws unless the file begins as a shared library for Linux on x64 does (ELF-64: e_ident, e_type 3, e_machine 62). */
export async function requireLibrary(path: string): Promise<void> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(20), 0, 20, 0);
    const isElf = bytesRead === 20 && buffer.subarray(0, 5).toString('latin1') === '\x7fELF\x02';
    if (isElf && buffer.readUInt16LE(16) === 3 && buffer.readUInt16LE(18) === 62) return;
  } finally {
    await file.close();
  }
  throw new Failure('bad-file', `${path} is no library for Linux on x64.`, {
    action: 'Nothing was installed. Download the libraries again.',
  });
}

function notThere(path: string, name: string, found: string): Failure {
  return new Failure('not-found', `${path} was expected to have one ${name}, and has ${found}.`, {
    action: `Name a folder with ${cudaLibraries.join(' and ')}, or a package (.nupkg, .whl) that has them.`,
  });
}
