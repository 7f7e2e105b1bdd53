import { runtimeVariable } from '../contracts/devices.ts';
import type { DeviceChoice } from '../contracts/engine.ts';
import type { CudaPlaces } from './installCuda.ts';
import { isRuntime, ownRuntimeFolder, runtimeFolder, runtimeVersionIn } from './runtimeFolder.ts';

/** What a process is to run on, and with which libraries. */
export interface RuntimeWanted {
  readonly device: DeviceChoice;
  /** A folder or package with libraries of the user's; undefined: those that were downloaded. */
  readonly own: string | undefined;
  /** The LD_LIBRARY_PATH that there is. */
  readonly searched: string | undefined;
}

/** What a process is to know besides its environment: the runtime with CUDA's libraries, where it is wanted and there is one. */
export function runtimeEnvironment(
  { modules, storage }: CudaPlaces,
  { device, own, searched = '' }: RuntimeWanted,
): Readonly<Record<string, string>> {
  if (device !== 'auto' && device !== 'cuda') return {};
  const folder = own === undefined ? runtimeFolder : ownRuntimeFolder;
  const used = folder(storage, runtimeVersionIn(modules));
  if (!isRuntime(used)) return {};
  if (own === undefined) return { [runtimeVariable]: used };
  // The libraries of CUDA itself may lie beside the user's. An empty part would be the current folder, whatever lies there.
  const search = [own, ...searched.split(':')].filter(part => part !== '');
  return { [runtimeVariable]: used, LD_LIBRARY_PATH: search.join(':') };
}
