import type { Device } from '../contracts/engine.ts';

/** What onnxruntime 1.30's kernels of a device lack; graphs for it do without, and compute the same. */
export interface Lacks {
  /** Arithmetic of int64: only indices and shapes. */
  readonly int64?: true;
  /** Numbers of 16 bits; within constants, the CPU widens them when the session opens. */
  readonly sixteenBits?: true;
  /** GroupQueryAttention's softcap, which is passed over in silence. */
  readonly softcap?: true;
  /** The weights that GroupQueryAttention gives beside its result. */
  readonly attentionWeights?: true;
}

/** test/engine/webgpu.test.ts runs what is done instead against the goldens. */
export const lacks: Readonly<Record<Device, Lacks>> = {
  cpu: {},
  webgpu: { int64: true, sixteenBits: true, softcap: true, attentionWeights: true },
};
