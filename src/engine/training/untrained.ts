import type { TrainingProgress } from '../../contracts/trainer.ts';

/** What is told of a training before anything of it is known. */
export const untrained: Omit<TrainingProgress, 'phase' | 'secondsLeft'> = {
  fraction: 0,
  step: 0,
  steps: 0,
  tokens: 0,
  loss: null,
  domainEv: null,
  domainEvBase: null,
  generalEv: null,
  generalEvBase: null,
  alive: null,
  dead: null,
  tokensPerSecond: null,
};

/** Milliseconds between two that are told, at least. */
export const leastMilliseconds = 200;
