import type { DeviceState } from '../contracts/devices.ts';

/**
 * The note of a device that failed while it was in use; undefined where the CPU took its place in another way, as when a new
 * test run of 'auto' found the CPU faster.
 */
export function leftDevice(
  before: DeviceState | undefined,
  now: DeviceState | undefined,
): string | undefined {
  const isLeft = before !== undefined && before.device !== 'cpu' && now?.device === 'cpu';
  // As the engine says it of a device that failed: "WebGPU was lost, and the CPU goes on: …"
  return isLeft && now.note?.includes(', and the CPU goes on: ') ? now.note : undefined;
}
