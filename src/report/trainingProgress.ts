import type { BoostPhase, BoostProgress } from '../contracts/trainer.ts';

/** The phases of a training in their order, each with the share of the time that it usually takes. */
export const phases: readonly { readonly phase: BoostPhase; readonly share: number }[] = [
  { phase: 'loading', share: 0.02 },
  { phase: 'reading text', share: 0.03 },
  { phase: 'computing activations', share: 0.6 },
  { phase: 'training', share: 0.2 },
  { phase: 'calibrating', share: 0.02 },
  { phase: 'measuring', share: 0.1 },
  { phase: 'describing features', share: 0.03 },
];

/** How much of the whole training is done, 0 to 1: never less than before while the phases keep their order. */
export function overallFraction(progress: Pick<BoostProgress, 'phase' | 'fraction'>): number {
  let before = 0;
  for (const { phase, share } of phases) {
    if (phase === progress.phase) {
      return before + share * Math.min(1, Math.max(0, progress.fraction));
    }
    before += share;
  }
  return 0;
}
