import { Failure } from './failure.ts';

/** Ends what the signal cancels, with the failure that it was aborted with or a plain 'cancelled'. */
export function throwIfCancelled(signal: Abortable | undefined): void {
  if (!signal?.aborted) return;
  const { reason } = signal;
  throw Failure.is(reason)
    ? reason
    : new Failure('cancelled', 'The work was cancelled.', { cause: reason });
}

/** What of an AbortSignal is needed here, where no platform's types are at hand. */
interface Abortable {
  readonly aborted: boolean;
  readonly reason: unknown;
}
