import { Failure } from '../../common/failure.ts';
import { deviceNames } from '../../contracts/devices.ts';
import type { TensorflowChoice } from '../../contracts/tensorflow.ts';
import { keepsOutputs, takesSteps } from '../../onnx/devices.ts';
import type { BackendRequest, OpenBackend, TrainingBackend } from '../../training/backend.ts';
import { KernelBackend } from '../../training/kernel/kernelBackend.ts';
import type { DeviceInUse } from '../devices/deviceInUse.ts';
import { GraphBackend } from './graphBackend.ts';
import { readKernel } from './kernelFile.ts';
import { openTensorflow } from './tensorflow/openTensorflow.ts';
import { RuntimeEncoder } from './trainerEncoder.ts';

/** Hears, in one sentence, what a user should know of where the steps are taken. */
export type Warn = (message: string) => void;

/** Steps on the CPU. */
export async function openKernelBackend(request: BackendRequest): Promise<TrainingBackend> {
  return KernelBackend.open(request, await readKernel(), kernel => RuntimeEncoder.open(kernel));
}

/** Steps in TensorFlow where that is asked for, else on the device in use; on the CPU where it cannot take them, said. */
export function backendOn(
  { device }: Pick<DeviceInUse, 'device'>,
  warn?: Warn,
  tensorflow?: TensorflowChoice,
): OpenBackend {
  if (tensorflow) return request => openTensorflowBackend(request, { ...tensorflow, warn });
  if (device === 'cpu') return openKernelBackend;
  return async request => {
    if (!takesSteps(device)) {
      warn?.(`Trainings take their steps on the CPU: ${deviceNames[device]} cannot.`);
      return openKernelBackend(request);
    }
    try {
      return await GraphBackend.open(request, {
        ...{ device, warn },
        holdsTensors: keepsOutputs(device),
      });
    } catch (error) {
      const { message } = Failure.from(error);
      warn?.(
        `${deviceNames[device]} cannot take the training's steps, and the CPU does: ${message}`,
      );
      return openKernelBackend(request);
    }
  };
}

/** Steps in the user's TensorFlow, told; on the CPU, with the reason, where it cannot be used. */
async function openTensorflowBackend(
  request: BackendRequest,
  { path, warn }: TensorflowChoice & { readonly warn?: Warn | undefined },
): Promise<TrainingBackend> {
  try {
    const { backend, told } = await openTensorflow(request, { path, warn });
    warn?.(`The training's steps are taken in ${told}.`);
    return backend;
  } catch (error) {
    const { message, action = '' } = Failure.from(error);
    warn?.(
      `TensorFlow cannot take the training's steps, and the CPU does: ${message} ${action}`.trim(),
    );
    return openKernelBackend(request);
  }
}
