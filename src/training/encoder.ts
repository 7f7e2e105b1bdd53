import type { TrainingKernel } from './kernel/trainingKernel.ts';

/** Finds what fires: the product of the training step, for which each backend has its own means. */
export interface Encoder {
  /** TopK(W_enc x + b_enc) of the kernel's input, rectified and descending, into its values and indices. */
  encode(): Promise<void>;
  /** The same among the features `dead`, into the auxiliary arrays; returns how many per sample (at most K_aux). */
  encodeDead(dead: Uint32Array): Promise<number>;
  dispose(): Promise<void>;
}

export type OpenEncoder = (kernel: TrainingKernel) => Promise<Encoder>;
