import { isOutOfMemory } from '../../common/outOfMemory.ts';
import { deviceNames } from '../../contracts/devices.ts';
import type { Device } from '../../contracts/engine.ts';

/** Why a device's test run failed, as a clause, by its failure and what its process wrote to stderr. */
export function deviceTrouble(device: Device, failure: string, said: string): string {
  const all = `${failure}\n${said}`;
  for (const [pattern, reason] of known) {
    const found = pattern.exec(all);
    if (found) return reason(found[1] ?? '');
  }
  if (isOutOfMemory(all)) return `${deviceNames[device]} has too little free memory`;
  return `its test run failed: ${failure.split('\n')[0] ?? ''}`;
}

type Reason = (found: string) => string;

/** What is known to go wrong; the first that fits is told. */
const known: readonly (readonly [RegExp, Reason])[] = [
  [/webgpu adapter|no supported adapters/i, () => 'no graphics adapter was found'],
  [
    /(libcuda\.so[.\d]*): cannot open shared object file/,
    lib => `NVIDIA's driver (${lib}) was not found`,
  ],
  [
    /([^\s/]*onnxruntime_providers_[^\s/]*\.so): cannot open shared object file/,
    lib => `onnxruntime's library ${lib} is not beside it`,
  ],
  [/(lib[\w+-]+\.so[.\d]*): cannot open shared object file/, missingLibrary],
  [
    /([^\s/]+\.so[.\d]*): (?:file too short|invalid ELF header|ELF )/,
    lib => `its library ${lib} is broken`,
  ],
  [/no CUDA-capable device/i, () => 'no graphics card with CUDA was found'],
  [
    /(CUDA driver version is insufficient[^\n"]*?)(?=\s*;|[\n"]|$)/i,
    () => "NVIDIA's driver is too old for the CUDA that is installed",
  ],
];

function missingLibrary(library: string): string {
  const major = /^lib(?:cublas|cublasLt|cudart)\.so\.(\d+)/.exec(library)?.[1];
  const cuda = major === undefined ? 'CUDA' : `CUDA ${major}`;
  return `${library} was not found: ${cuda} and cuDNN are to be installed where the system finds libraries (or LD_LIBRARY_PATH names them)`;
}
