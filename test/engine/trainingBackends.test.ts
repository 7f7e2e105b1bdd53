import { describe, it } from 'node:test';
import { GraphBackend } from '../../src/engine/graphBackend.ts';
import { openKernelBackend } from '../../src/engine/trainingBackends.ts';
import { holdToReference } from './backendReference.ts';
import { useSoftwareGpu } from './softwareGpu.ts';

const missing = useSoftwareGpu();

holdToReference('The kernel', openKernelBackend);
holdToReference('The graph on the CPU', request => GraphBackend.open(request, { device: 'cpu' }));
holdToReference('The graph in loops', request =>
  GraphBackend.open(request, { device: 'cpu', holdsTensors: false }),
);
if (missing === undefined) {
  holdToReference('The graph on WebGPU', request =>
    GraphBackend.open(request, { device: 'webgpu' }),
  );
} else describe('The graph on WebGPU', () => void it('runs', { skip: missing }, () => undefined));
