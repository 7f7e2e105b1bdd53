// Has the engine load the runtime that `loupe cuda` laid out, where the command may run on CUDA. Imports nothing of the engine,
// and waits for nothing: what is imported after it would not wait with it.
import { runtimeVariable } from '../contracts/devices.ts';
import { isRuntime, runtimeFolder, runtimeVersionIn } from '../cuda/runtimeFolder.ts';
import { cudaPlaces } from './cudaPlaces.ts';

const [command, ...rest] = process.argv.slice(2);
const mayUse = command === 'devices' || /(^|\s)--device[ =](cuda|auto)(\s|$)/.test(rest.join(' '));
if (mayUse && process.env[runtimeVariable] === undefined) {
  const { modules, storage } = cudaPlaces();
  const folder = runtimeFolder(storage, runtimeVersionIn(modules));
  if (isRuntime(folder)) process.env[runtimeVariable] = folder;
}
