import type { StepOptions } from '../../../training/backend.ts';
import type { TrainingSettings } from '../../../training/settings.ts';
import type { Changes } from './changes.ts';
import { DeviceBatchTopK } from './deviceBatchTopK.ts';
import { DeviceJumpRelu } from './deviceJumpRelu.ts';
import type { DeviceArrays } from './deviceArrays.ts';
import type { Tensor, Tensorflow } from './tensorflow.ts';

/** What src/training/sparsity.ts does with a batch's candidates, on the device; inside the step's tidy. */
export interface DeviceSparsity {
  /** Sets what depends on the first training batch; `values`, (B, K), are its candidates, rectified and descending. */
  begin(changes: Changes, values: Tensor): void;
  /** (B, K) the candidates with those that do not fire set to 0; `indices` are their features. */
  select(changes: Changes, values: Tensor, indices: Tensor): Tensor;
  /** Learns from the step; returns what sparsity adds to its loss. `slopes`, (B, K): d loss / d activation. */
  learn(changes: Changes, slopes: Tensor, options: StepOptions): Tensor | undefined;
}

export function openDeviceSparsity(
  tf: Tensorflow,
  settings: TrainingSettings,
  arrays: DeviceArrays,
): DeviceSparsity {
  switch (settings.objective) {
    case 'batchtopk':
      return new DeviceBatchTopK(tf, settings, arrays);
    case 'jumprelu':
      return new DeviceJumpRelu(tf, settings, arrays);
    case 'hierarchical':
    case 'topk':
      return allFire;
  }
}

const allFire: DeviceSparsity = {
  begin() {
    // Nothing is learned.
  },
  select: (_changes, values) => values,
  learn: () => undefined,
};
