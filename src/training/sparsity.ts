import type { ActivationRule } from '../saes/dictionary.ts';
import type { StepOptions, TrainingArrays } from './backend.ts';
import { BatchTopK } from './batchTopK.ts';
import { JumpRelu } from './jumpRelu.ts';
import type { TrainingSettings } from './settings.ts';

/** The candidates of a batch, each sample's descending. */
export type Candidates = Pick<TrainingArrays, 'values' | 'indices' | 'shape'>;

/** Candidates whose step was taken. */
export interface LearntCandidates extends Candidates {
  /** (B, K) d loss / d activation, also of those that do not fire. */
  readonly slopes: Float32Array;
}

/** How an objective decides which of the encoder's candidates fire, between the encoder's product and the kernel's step. */
export interface Sparsity {
  /** Arrays that a checkpoint holds, changed in place. */
  readonly arrays: Readonly<Record<string, Float32Array>>;
  /** What the trained SAE does with its pre-activations. */
  readonly rule: ActivationRule;
  /** Sets what depends on the first training batch, where that is still to be done. */
  begin(candidates: Candidates): void;
  /** Sets to 0 those candidates of a training batch that do not fire. */
  select(candidates: Candidates): void;
  /** The same by the rule of the trained SAE, in which no sample depends on another. */
  apply(candidates: Candidates): void;
  /** Learns from the step that was just taken; returns what sparsity added to its loss. */
  learn(candidates: LearntCandidates, options: StepOptions): number;
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

  begin(): void {
    // Nothing is learned.
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
