import type { BackendRequest } from '../../../src/training/backend.ts';
import { KernelBackend } from '../../../src/training/kernel/kernelBackend.ts';
import { kernelBytes } from './kernelBytes.ts';
import { PlainEncoder } from './toy.ts';

/** The kernel with an encoder in plain loops: slow, and the same on every machine. */
export async function openPlainBackend(request: BackendRequest): Promise<KernelBackend> {
  return KernelBackend.open(request, await kernelBytes(), kernel =>
    Promise.resolve(new PlainEncoder(kernel)),
  );
}
