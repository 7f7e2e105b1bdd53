import { join } from 'node:path';
import type * as vscode from 'vscode';
import { Failure } from '../../common/failure.ts';
import type { DeviceChoice } from '../../contracts/engine.ts';
import type { CudaPlaces } from '../../cuda/installCuda.ts';
import { runtimeEnvironment } from '../../cuda/runtimeEnvironment.ts';
import type { Engine } from './engine.ts';
import { presentFailure } from '../presentFailure.ts';
import { absolute } from '../selection.ts';
import { setting } from '../settings.ts';

type Context = Pick<vscode.ExtensionContext, 'extensionPath' | 'globalStorageUri'>;

/** Where the extension's onnxruntime-node is, and where one with CUDA's libraries goes. */
export function cudaPlaces({ extensionPath, globalStorageUri }: Context): CudaPlaces {
  return {
    modules: join(extensionPath, 'node_modules'),
    storage: join(globalStorageUri.fsPath, 'cuda'),
  };
}

/** What a process of the engine's program is to know, for the device that it is asked to run on. */
export function engineEnvironment(
  context: Context,
  device: DeviceChoice = setting('device'),
): Readonly<Record<string, string>> {
  const own = absolute(setting('cuda.libraries'));
  const searched = process.env['LD_LIBRARY_PATH'];
  return runtimeEnvironment(cudaPlaces(context), { device, own, searched });
}

/** Asks, and downloads CUDA's libraries or takes those that the user has; the engine starts anew with them. */
export async function downloadCudaLibraries(targets: {
  readonly context: Context;
  readonly engine: Engine;
}): Promise<void> {
  const choosing = await import('../choosing/main.ts');
  if (await choosing.bringCuda(cudaPlaces(targets.context))) await targets.engine.renew();
}

/**
 * Lays out the runtime for the libraries that `loupe.cuda.libraries` names, if it names any. The engine starts anew where the
 * runtime was not there before, or where others, or none any more, were 'chosen'.
 */
export async function useOwnLibraries(
  context: Context,
  engine: Pick<Engine, 'renew'>,
  when: 'at start' | 'chosen',
): Promise<void> {
  const path = absolute(setting('cuda.libraries'));
  try {
    const runtime = path === undefined ? 'there' : await layOut(context, path);
    if (runtime === 'new' || (runtime === 'there' && when === 'chosen')) await engine.renew();
  } catch (error) {
    presentFailure(Failure.from(error), 'document');
  }
}

async function layOut(context: Context, path: string) {
  const choosing = await import('../choosing/main.ts');
  return choosing.useCudaLibraries(cudaPlaces(context), path);
}
