/** How the learning rate goes over a training. */
export interface Schedule {
  readonly peak: number;
  readonly minimum: number;
  /** Share of the steps in which it rises. */
  readonly warmup: number;
  readonly steps: number;
}

/**
 * Learning rate of a step, counted from 1: linear warm-up to the peak, then a cosine to the minimum
 * (KronSAE, arXiv 2505.22255, appendix: 10 % and 1e-6).
 */
export function learningRate(schedule: Schedule, step: number): number {
  const { peak, minimum, steps } = schedule;
  const rising = Math.ceil(schedule.warmup * steps);
  if (step <= rising) return (peak * step) / rising;
  const done = Math.min(1, (step - rising) / Math.max(1, steps - rising));
  return minimum + (peak - minimum) * 0.5 * (1 + Math.cos(Math.PI * done));
}
