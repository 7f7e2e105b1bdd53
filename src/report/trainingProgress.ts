import { formatDuration } from '../common/numbers.ts';
import type { RouterFitPhase } from '../contracts/routerFit.ts';
import type { BoostPhase, TrainingProgress } from '../contracts/trainer.ts';
import type { TrainingKind } from '../contracts/trainingPanel.ts';

interface PhaseShare<Phase> {
  readonly phase: Phase;
  readonly share: number;
}

const boostPhases: readonly PhaseShare<BoostPhase>[] = [
  { phase: 'loading', share: 0.02 },
  { phase: 'reading text', share: 0.03 },
  { phase: 'computing activations', share: 0.6 },
  { phase: 'training', share: 0.2 },
  { phase: 'calibrating', share: 0.02 },
  { phase: 'measuring', share: 0.1 },
  { phase: 'describing features', share: 0.03 },
];

const fitPhases: readonly PhaseShare<RouterFitPhase>[] = [
  { phase: 'loading', share: 0.02 },
  { phase: 'reading text', share: 0.03 },
  { phase: 'measuring before', share: 0.05 },
  { phase: 'fitting', share: 0.85 },
  { phase: 'measuring after', share: 0.05 },
];

/** The phases of a training in their order, each with the share of the time that it usually takes. */
export const phases: Readonly<
  Record<TrainingKind, readonly PhaseShare<BoostPhase | RouterFitPhase>[]>
> = { residual: boostPhases, routers: fitPhases };

/** How much of the whole training is done, 0 to 1: never less than before while the phases keep their order. */
export function overallFraction(
  kind: TrainingKind,
  progress: Pick<TrainingProgress, 'phase' | 'fraction'>,
): number {
  let before = 0;
  for (const { phase, share } of phases[kind]) {
    if (phase === progress.phase) {
      return before + share * Math.min(1, Math.max(0, progress.fraction));
    }
    before += share;
  }
  return 0;
}

/** What is being done, where its steps are taken, and for how long still: "training on WebGPU, about 3 min left". */
export function stageText({
  phase,
  device,
  secondsLeft,
}: Pick<TrainingProgress, 'phase' | 'device' | 'secondsLeft'>): string {
  const where = phase === 'training' && device !== undefined ? ` on ${device}` : '';
  const left = secondsLeft === null ? '' : `, about ${formatDuration(secondsLeft)} left`;
  return `${phase}${where}${left}`;
}
