import { Failure } from '../../../common/failure.ts';
import type { BackendRequest } from '../../../training/backend.ts';
import { loadNodeGpu } from './nodeGpu.ts';
import type { Tensorflow } from './tensorflow.ts';
import { TensorflowBackend, type TensorflowBackendOptions } from './tensorflowBackend.ts';

export interface OpenedTensorflow {
  readonly backend: TensorflowBackend;
  /** What takes the steps: "TensorFlow 4.22.0 on tfjs-node-gpu". */
  readonly told: string;
}

/** Training on the GPU through the tfjs-node-gpu that the user has installed; fails where it cannot be used. */
export async function openTensorflow(
  request: BackendRequest,
  { path, warn }: TensorflowBackendOptions & { readonly path?: string | undefined },
): Promise<OpenedTensorflow> {
  // A bundle of its own. It has to be there first: what comes later joins its registry of kernels.
  const tf = await import('@tensorflow/tfjs-core');
  tf.enableProdMode();
  const version = loadNodeGpu(path);
  requireWorking(tf);
  return {
    backend: new TensorflowBackend(tf, request, { warn }),
    told: `TensorFlow ${version} on tfjs-node-gpu`,
  };
}

/** The backend that tfjs-node-gpu registers. */
const wanted = 'tensorflow';

/** Fails where TensorFlow is not what computes, or a product of two small matrices does not come out right. */
function requireWorking(tf: Tensorflow): void {
  const backend = tf.getBackend();
  if (backend !== wanted) {
    throw new Failure(
      'unsupported',
      `TensorFlow.js computes on its backend '${backend}' where '${wanted}' is wanted, so it is not used.`,
      { action: 'Name a folder in which there is no other TensorFlow.js.' },
    );
  }
  const sum = tf.tidy(() => tf.sum(tf.matMul(tf.ones([2, 3]), tf.ones([3, 2]))).dataSync()[0]);
  if (sum === 12) return;
  throw new Failure(
    'unsupported',
    `TensorFlow gives ${sum} where 12 is right, so it is not used.`,
    {
      action: "Look to CUDA, cuDNN and the graphics card's driver.",
    },
  );
}
