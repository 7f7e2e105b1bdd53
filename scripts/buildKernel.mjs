// Compiles src/kernel (AssemblyScript) to WebAssembly.
import asc from 'assemblyscript/asc';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** The kernel's bytes; throws with the compiler's messages. */
export async function compileKernel() {
  let binary;
  const { error, stderr } = await asc.main(
    [
      'src/kernel/kernel.ts',
      ...['--outFile', 'kernel.wasm', '--baseDir', root],
      ...['--runtime', 'stub', '-O3', '--noAssert', '--converge', '--disableWarning', '112'],
      ...['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'],
      ...['--enable', 'simd', '--enable', 'threads'],
    ],
    { writeFile: (name, contents) => (name.endsWith('.wasm') ? (binary = contents) : undefined) },
  );
  if (error || !binary)
    throw new Error(`The kernel did not compile.\n${stderr.toString()}`, { cause: error });
  const warnings = stderr.toString();
  if (warnings) console.warn(warnings);
  return binary;
}

/** Writes dist/kernel.wasm. */
export async function buildKernel(file = join(root, 'dist', 'kernel.wasm')) {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, await compileKernel());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildKernel();
