import { setImmediate } from 'node:timers/promises';
import { throwIfCancelled } from '../common/cancelled.ts';

/** Lets messages in between two runs, which block the thread, so that a cancellation is seen. */
export async function pause(signal: AbortSignal | undefined): Promise<void> {
  await setImmediate();
  throwIfCancelled(signal);
}
