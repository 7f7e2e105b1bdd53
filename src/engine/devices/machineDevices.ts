import type { Device } from '../../contracts/engine.ts';
import { devicesOf, isBuiltFor, thisMachine } from '../../onnx/devices.ts';
import { hasCudaProvider } from '../sessions/runtime.ts';

/** The devices that 'auto' tries on such a machine, the best first: CUDA only where its libraries are there. */
export function devicesToTry(
  machine = thisMachine,
  hasCuda = hasCudaProvider(),
): readonly Device[] {
  return devicesOf(machine).filter(device => device !== 'cuda' || hasCuda);
}

const needs: Readonly<Record<Device, string>> = {
  cpu: '',
  webgpu: 'Windows, macOS or Linux on x64',
  cuda: 'Linux on x64',
  directml: 'Windows',
  coreml: 'macOS',
};

/** Why a test run of the device is of no use here, as a clause; undefined where it is worth one. */
export function obstacle(
  device: Device,
  machine = thisMachine,
  hasCuda = hasCudaProvider(),
): string | undefined {
  if (!isBuiltFor(device, machine)) return `it needs ${needs[device]}, and this is ${machine}`;
  if (device !== 'cuda' || hasCuda) return undefined;
  return 'its libraries are not there; the command "Loupe: Download CUDA Libraries" or `loupe cuda` brings them';
}
