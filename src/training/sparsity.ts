import type { ActivationRule } from '../saes/dictionary.ts';
import { BatchTopK } from './batchTopK.ts';
import { JumpRelu } from './jumpRelu.ts';
import type { TrainingSettings } from './settings.ts';
import type { StepOptions, TrainingKernel } from './trainingKernel.ts';

/** How an objective decides which of the encoder's candidates fire, between the encoder's product and the kernel's step. */
export interface Sparsity {
  /** Arrays that a checkpoint holds, changed in place. */
  readonly arrays: Readonly<Record<string, Float32Array>>;
  /** What the trained SAE does with its pre-activations. */
  readonly rule: ActivationRule;
  /** Sets to 0 those candidates of a training batch that do not fire. */
  select(kernel: TrainingKernel): void;
  /** The same by the rule of the trained SAE, in which no sample depends on another. */
  apply(kernel: TrainingKernel): void;
  /** Learns from the step that was just taken; returns what sparsity added to its loss. */
  learn(kernel: TrainingKernel, options: StepOptions): number;
}

/** The sparsity of a training's objective, as it is before the first step. */
export function openSparsity(settings: TrainingSettings): Sparsity {
  switch (settings.objective) {
    case 'batchtopk':
      return new BatchTopK(settings);
    case 'jumprelu':
      return new JumpRelu(settings);
    case 'hierarchical':
    case 'topk':
      return new TopK(settings.k);
  }
}

/** The encoder's own TopK: every candidate fires. */
class TopK implements Sparsity {
  readonly arrays = {};
  readonly rule: ActivationRule;

  constructor(maxK: number) {
    this.rule = { kind: 'topk', maxK };
  }

  select(): void {
    // The encoder gave no more than K.
  }

  apply(): void {
    // As in training.
  }

  learn(): number {
    return 0;
  }
}
