import { Failure } from '../common/failure.ts';
import { isOutOfMemory } from '../common/outOfMemory.ts';

/** Whatever an engine's work throws, with lack of memory told from faults of ours. */
export function asFailure(error: unknown): Failure {
  const failure = Failure.from(error);
  if (failure.code !== 'out-of-memory' && !isOutOfMemory(failure)) return failure;
  return new Failure('out-of-memory', `There is not enough memory: ${failure.message}`, {
    action: 'Close other programs, or choose a smaller model or SAE.',
    cause: error,
  });
}
