import { join } from 'node:path';
import type * as vscode from 'vscode';
import { Failure } from '../common/failure.ts';
import { runtimeVariable } from '../contracts/devices.ts';
import type { CudaPlaces } from '../cuda/installCuda.ts';
import {
  isRuntime,
  ownRuntimeFolder,
  runtimeFolder,
  runtimeVersionIn,
} from '../cuda/runtimeFolder.ts';
import type { Engine } from './engine.ts';
import { presentFailure } from './presentFailure.ts';
import { absolute } from './selection.ts';
import { setting } from './settings.ts';

type Context = Pick<vscode.ExtensionContext, 'extensionPath' | 'globalStorageUri'>;

/** Where the extension's onnxruntime-node is, and where one with CUDA's libraries goes. */
export function cudaPlaces({ extensionPath, globalStorageUri }: Context): CudaPlaces {
  return {
    modules: join(extensionPath, 'node_modules'),
    storage: join(globalStorageUri.fsPath, 'cuda'),
  };
}

/** What the engine's processes are to know: the runtime with CUDA's libraries, where it is wanted and there is one. */
export function engineEnvironment(context: Context): Readonly<Record<string, string>> {
  if (!['auto', 'cuda'].includes(setting('device'))) return {};
  const { modules, storage } = cudaPlaces(context);
  const own = absolute(setting('cuda.libraries'));
  const folder = own === undefined ? runtimeFolder : ownRuntimeFolder;
  const used = folder(storage, runtimeVersionIn(modules));
  if (!isRuntime(used)) return {};
  // The libraries of CUDA itself may lie beside the user's.
  const search = [own, process.env['LD_LIBRARY_PATH']].filter(part => part !== undefined);
  return {
    [runtimeVariable]: used,
    ...(own !== undefined && { LD_LIBRARY_PATH: search.join(':') }),
  };
}

/** Asks, and downloads CUDA's libraries or takes those that the user has; the engine starts anew with them. */
export async function downloadCudaLibraries(targets: {
  readonly context: Context;
  readonly engine: Engine;
}): Promise<void> {
  const choosing = await import('./choosing/main.ts');
  if (await choosing.bringCuda(cudaPlaces(targets.context))) await useNow(targets.engine);
}

/** Lays out the runtime for the libraries that `loupe.cuda.libraries` names, if it names any. */
export async function useOwnLibraries(context: Context, engine: Engine): Promise<void> {
  const path = absolute(setting('cuda.libraries'));
  if (path === undefined) return;
  try {
    const choosing = await import('./choosing/main.ts');
    if (await choosing.useCudaLibraries(cudaPlaces(context), path)) await useNow(engine);
  } catch (error) {
    presentFailure(Failure.from(error), 'document');
  }
}

async function useNow(engine: Engine): Promise<void> {
  // Its state tells of a failure.
  if (engine.state.kind !== 'off') await engine.restart().catch(() => undefined);
}
