import type { DeviceState } from '../../contracts/devices.ts';

/**
 * The note of a device that failed while it was in use; undefined where the CPU took its place in another way, as when a new
 * test run of 'auto' found the CPU faster.
 */
export function leftDevice(
  before: DeviceState | undefined,
  now: DeviceState | undefined,
): string | undefined {
  const wasInUse = before !== undefined && before.device !== 'cpu';
  return wasInUse && now?.failed ? now.note : undefined;
}
