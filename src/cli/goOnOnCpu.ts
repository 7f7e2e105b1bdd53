import { Failure } from '../common/failure.ts';
import type { ModelRequest } from '../contracts/engine.ts';

/** Does the work; where its device fails in the midst of it, once more on the CPU, which goes on from the checkpoint. */
export async function goOnOnCpu<R extends { readonly model: ModelRequest }, T>(
  request: R,
  work: (request: R) => Promise<T>,
  log: (line: string) => void,
): Promise<T> {
  try {
    return await work(request);
  } catch (error) {
    if (!Failure.is(error, 'device-lost')) throw error;
    log(`${error.message} The CPU goes on from the last checkpoint.`);
    return work({ ...request, model: { ...request.model, device: 'cpu' } });
  }
}
