import { adamW, clip, optimiser, type Moments } from './adamW.ts';
import { holdGradients, type Arm } from './arms.ts';
import type { LossGraph } from './lossGraph.ts';

/** What a step changes. */
export interface Trainee {
  readonly weights: Float32Array;
  readonly moments: Moments;
  /** Room for the gradient: what it held is lost. */
  readonly gradient: Float32Array;
}

/**
 * One step of training on windows of T + 1 tokens. Returns the mean surprisal of their tokens, in nats, and the norm of
 * the gradient before it was clipped.
 */
export async function takeStep(
  graph: LossGraph,
  { weights, moments, gradient }: Trainee,
  windows: readonly Uint32Array[],
  { arm, step, rate }: { readonly arm: Arm; readonly step: number; readonly rate: number },
): Promise<{ loss: number; norm: number }> {
  const { parameters } = graph;
  gradient.fill(0);
  let surprisal = 0;
  for (const window of windows) surprisal += await graph.addGradient(weights, window, gradient);
  const tokens = windows.reduce((sum, { length }) => sum + length - 1, 0);
  for (let i = 0; i < gradient.length; i++) gradient[i] = (gradient[i] ?? NaN) / tokens;
  holdGradients(gradient, parameters, arm);
  const norm = clip(gradient, optimiser.clip);
  adamW(weights, gradient, moments, parameters, { step, rate });
  return { loss: surprisal / tokens, norm };
}
