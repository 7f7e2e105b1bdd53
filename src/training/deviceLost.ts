import { Failure } from '../common/failure.ts';

/** What ends a training whose device stopped working: whoever started it can go on from the checkpoint. */
export function deviceLost(device: string, error: unknown): Failure {
  if (Failure.is(error, 'device-lost')) return error;
  const { message } = Failure.from(error);
  return new Failure('device-lost', `${device} failed: ${message}`, {
    action: 'The training can go on from its checkpoint, on another device too.',
    cause: error,
  });
}

/** Does the work on a device; whatever goes wrong there is the device's. */
export async function orDeviceLost<T>(device: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw deviceLost(device, error);
  }
}

/** What to say where a step has to be taken in smaller parts. */
export function smallerParts(device: string, tokens: number): string {
  return `${device} ran out of memory: batches go through ${tokens} tokens at a time from here on, with the same result.`;
}
