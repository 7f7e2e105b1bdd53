import { Failure } from '../common/failure.ts';
import type { ModelRequest } from '../contracts/engine.ts';
import type { TensorflowChoice } from '../contracts/tensorflow.ts';

/** What is asked of a training about where it is done. */
interface Placed {
  readonly model: ModelRequest;
  readonly tensorflow?: TensorflowChoice | undefined;
}

/** Does the work; where its device fails in the midst of it, once more on the CPU, which goes on from the checkpoint. */
export async function goOnOnCpu<R extends Placed, T>(
  request: R,
  work: (request: R) => Promise<T>,
  log: (line: string) => void,
): Promise<T> {
  try {
    return await work(request);
  } catch (error) {
    if (!Failure.is(error, 'device-lost')) throw error;
    log(`${error.message} The CPU goes on from the last checkpoint.`);
    return work({ ...request, tensorflow: undefined, model: { ...request.model, device: 'cpu' } });
  }
}
