import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type * as OnnxRuntime from 'onnxruntime-node';
import { runtimeVariable } from '../../contracts/devices.ts';

// From its first session on, onnxruntime 1.30 collects usage for its maker unless this is set: nothing leaves the machine.
process.env['ORT_DISABLE_TELEMETRY'] = '1';

const own = createRequire(import.meta.url);
const { runtime, path } = loaded();

export const { env, InferenceSession, Tensor } = runtime;
export type InferenceSession = OnnxRuntime.InferenceSession;
export type Tensor = OnnxRuntime.Tensor;
export type InferenceOptions = OnnxRuntime.InferenceSession.SessionOptions;

/** Whether the CUDA provider lies beside the library that was loaded, where alone onnxruntime 1.30 looks for it. */
export function hasCudaProvider(): boolean {
  const { platform, arch } = process;
  const binaries = join(dirname(path), '..', 'bin', 'napi-v6', platform, arch);
  return existsSync(join(binaries, 'libonnxruntime_providers_cuda.so'));
}

/** The runtime of the folder that whoever started this process has named, or the one that came with Loupe. */
function loaded(): { readonly runtime: typeof OnnxRuntime; readonly path: string } {
  const named = process.env[runtimeVariable];
  if (named !== undefined && named !== '') {
    try {
      return loadedBy(createRequire(join(named, 'index.js')));
    } catch (error) {
      const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
      console.warn(`The runtime in ${named} cannot be loaded, and Loupe's own is used: ${why}`);
    }
  }
  return loadedBy(own);
}

function loadedBy(require: NodeJS.Require) {
  const name = 'onnxruntime-node';
  return { runtime: require(name) as typeof OnnxRuntime, path: require.resolve(name) };
}
