import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { DeviceState } from '../../src/contracts/devices.ts';
import { leftDevice } from '../../src/editor/leftDevice.ts';

const state = (device: DeviceState['device'], note?: string): DeviceState => ({
  ...{ device, precision: 'float32', weightBytes: 0, residentBytes: 0 },
  ...(note !== undefined && { note }),
});
const lost = 'WebGPU was lost, and the CPU goes on: The run failed: webgpu: Device is lost.';
const slow = 'WebGPU is not used: it takes 3.1 times as long as the CPU.';

it('only a device that failed in use is told of', () => {
  assert.equal(leftDevice(state('webgpu'), state('cpu', lost)), lost);
  assert.equal(
    leftDevice(state('cuda'), state('cpu', `${slow} ${lost}`)),
    `${slow} ${lost}`,
    'whatever else is said',
  );
  for (const [before, now] of [
    [state('webgpu'), state('cpu', slow)],
    [state('webgpu'), state('cpu')],
    [state('webgpu'), undefined],
    [state('cpu', lost), state('cpu', lost)],
    [undefined, state('cpu', lost)],
  ] as const)
    assert.equal(leftDevice(before, now), undefined, now?.note);
});
