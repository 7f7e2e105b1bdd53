import type { Device } from '../contracts/engine.ts';

/** What onnxruntime 1.30's kernels of a device lack; graphs for it do without, and compute the same. */
export interface Lacks {
  /** Arithmetic of int64: only indices and shapes. */
  readonly int64?: true;
  /** Numbers of 16 bits, on every device of the kind (precision.ts asks each); the CPU widens constants of them when the session opens. */
  readonly sixteenBits?: true;
  /**
   * A GroupQueryAttention that can be relied on. WebGPU's passes over the softcap in silence, gives no weights beside its
   * result, and its kernel for 16 tokens and more was wrong by a fifth of the largest value on SwiftShader.
   */
  readonly attention?: true;
}

/** Whether a session there can leave outputs on the device, for other sessions to read. */
export function keepsOutputs(device: Device): boolean {
  return device === 'webgpu';
}

/** test/engine/webgpu.test.ts runs what is done instead against the goldens. */
export const lacks: Readonly<Record<Device, Lacks>> = {
  cpu: {},
  webgpu: { int64: true, sixteenBits: true, attention: true },
};
