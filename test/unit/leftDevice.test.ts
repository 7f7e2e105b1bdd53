import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { DeviceState } from '../../src/contracts/devices.ts';
import { leftDevice } from '../../src/editor/engine/leftDevice.ts';

const state = (device: DeviceState['device'], note?: string): DeviceState => ({
  ...{ device, precision: 'float32', weightBytes: 0, residentBytes: 0 },
  ...(note !== undefined && { note }),
});
const failed = (note: string): DeviceState => ({ ...state('cpu', note), failed: true });
const lost = 'WebGPU was lost, and the CPU goes on: The run failed: webgpu: Device is lost.';
const slow = 'WebGPU is not used: it takes 3.1 times as long as the CPU.';

it('only a device that failed in use is told of', () => {
  assert.equal(leftDevice(state('webgpu'), failed(lost)), lost);
  for (const [before, now] of [
    [state('webgpu'), state('cpu', slow)],
    [state('webgpu'), state('cpu')],
    [state('webgpu'), undefined],
    [failed(lost), failed(lost)],
    [undefined, failed(lost)],
  ] as const)
    assert.equal(leftDevice(before, now), undefined, now?.note);
});
