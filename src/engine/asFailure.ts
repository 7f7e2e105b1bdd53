import { Failure } from '../common/failure.ts';

/** Whatever an engine's work throws, with lack of memory told from faults of ours. */
export function asFailure(error: unknown): Failure {
  const failure = Failure.from(error);
  const isMemory = /bad_alloc|out of memory|allocation failed|failed to allocate/i;
  if (failure.code !== 'out-of-memory' && !isMemory.test(failure.message)) return failure;
  return new Failure('out-of-memory', `There is not enough memory: ${failure.message}`, {
    action: 'Close other programs, or choose a smaller model or SAE.',
    cause: error,
  });
}
