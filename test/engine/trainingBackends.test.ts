import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { GraphBackend } from '../../src/engine/training/graphBackend.ts';
import { backendOn, openKernelBackend } from '../../src/engine/training/trainingBackends.ts';
import { toySettings } from '../unit/training/toy.ts';
import { holdToReference } from './backendReference.ts';

holdToReference('The kernel', openKernelBackend);
holdToReference('The graph on the CPU', request => GraphBackend.open(request, { device: 'cpu' }));
holdToReference('The graph in loops', request =>
  GraphBackend.open(request, { device: 'cpu', holdsTensors: false }),
);

describe('the backend of a device', () => {
  const request = { settings: toySettings, width: 16 };

  it('is the kernel on the CPU', async () => {
    const backend = await backendOn({ device: 'cpu' })(request);
    assert.equal(backend.device, 'CPU');
    await backend.dispose();
  });

  for (const [device, reason] of [
    ['cuda', /CUDA cannot take the training's steps, and the CPU does: /],
    ['directml', /steps on the CPU: DirectML cannot/],
    ['coreml', /steps on the CPU: CoreML cannot/],
  ] as const) {
    it(`is the kernel, said, where ${device} cannot take steps`, async () => {
      const said: string[] = [];
      const backend = await backendOn({ device }, line => void said.push(line))(request);
      assert.equal(backend.device, 'CPU');
      assert.equal(said.length, 1);
      assert.match(String(said[0]), reason);
      await backend.dispose();
    });
  }
});
