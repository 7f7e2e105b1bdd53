import type { BoostPlan } from '../contracts/trainer.ts';
import type { PlanChoice } from '../contracts/trainingPanel.ts';

/** Seconds that a planned training is likely to take with what the user has chosen instead. */
export function planSeconds(plan: BoostPlan, { tokens, mixGeneral }: PlanChoice): number {
  const { seconds, secondsPerToken, secondsPerTextToken, corpus } = plan;
  const plain = seconds + (tokens - plan.tokens) * secondsPerToken;
  if (mixGeneral === 0) return plain;
  // A training more, and general text beside the domain's: the plain one is made too.
  const general = (corpus.tokens * mixGeneral) / (1 - mixGeneral);
  return plain + tokens * secondsPerToken + general * secondsPerTextToken;
}
