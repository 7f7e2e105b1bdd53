import { Failure } from '../../common/failure.ts';
import { float32Tensor, float32Values, type Tensor } from './tensors.ts';

/** Rows of an activation (T, width): in this process's memory, or where the device that computed them left them. */
export type Activations = Float32Array | OnDevice;

/** Rows that a device holds until they are disposed of; any of its sessions can be fed with them. */
export class OnDevice {
  readonly tensor: Tensor;

  constructor(tensor: Tensor) {
    this.tensor = tensor;
  }

  dispose(): void {
    this.tensor.dispose();
  }
}

/** What a session gave, where it is. */
export function activationsIn(tensor: Tensor | undefined): Activations {
  return tensor && tensor.location !== 'cpu' ? new OnDevice(tensor) : float32Values(tensor);
}

/** As a session is fed with them. */
export function tensorOf(activations: Activations, width: number): Tensor {
  if (activations instanceof OnDevice) return activations.tensor;
  return float32Tensor(activations, [activations.length / width, width]);
}

/** Number of rows. */
export function rowsOf(activations: Activations, width: number): number {
  if (activations instanceof OnDevice) return activations.tensor.dims[0] ?? 0;
  return activations.length / width;
}

/** Of activations that were not to be left on the device. */
export function here(activations: Activations | undefined): Float32Array {
  if (activations instanceof Float32Array) return activations;
  throw new Failure('internal', 'Activations were left on the device that nobody reads there.');
}

/** Each once: the same rows may go by several names. */
export function dispose(all: Iterable<Activations>): void {
  for (const activations of new Set(all)) {
    if (activations instanceof OnDevice) activations.dispose();
  }
}
