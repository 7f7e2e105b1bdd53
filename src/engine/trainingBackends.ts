import type { BackendRequest, TrainingBackend } from '../training/backend.ts';
import { KernelBackend } from '../training/kernelBackend.ts';
import { readKernel } from './kernelFile.ts';
import { RuntimeEncoder } from './trainerEncoder.ts';

/** Steps on the CPU. */
export async function openKernelBackend(request: BackendRequest): Promise<TrainingBackend> {
  return KernelBackend.open(request, await readKernel(), kernel => RuntimeEncoder.open(kernel));
}
