import { compileKernel } from '../../../scripts/buildKernel.mjs';

let compiled: Promise<Uint8Array> | undefined;

/** The kernel as src/kernel stands, compiled once for a test file. */
export function kernelBytes(): Promise<Uint8Array> {
  compiled ??= compileKernel();
  return compiled;
}
