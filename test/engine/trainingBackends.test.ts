import { openKernelBackend } from '../../src/engine/trainingBackends.ts';
import { holdToReference } from './backendReference.ts';

holdToReference('The kernel', openKernelBackend);
