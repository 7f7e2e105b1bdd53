import { GraphBackend } from '../../src/engine/graphBackend.ts';
import { openKernelBackend } from '../../src/engine/trainingBackends.ts';
import { holdToReference } from './backendReference.ts';

holdToReference('The kernel', openKernelBackend);
holdToReference('The graph on the CPU', request => GraphBackend.open(request, { device: 'cpu' }));
holdToReference('The graph in loops', request =>
  GraphBackend.open(request, { device: 'cpu', holdsTensors: false }),
);
