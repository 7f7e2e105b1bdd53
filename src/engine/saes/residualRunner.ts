import type { Dictionary } from '../../saes/dictionary.ts';
import { SaeRunner } from './saeRunner.ts';

/**
 * Features of a residual SAE that a training's report looks at per token: the strongest of those that fire. At k = 50,
 * the most that SAE Boost's authors try, about 80 fire on a token (docs/results/boost.md), so that none is left out.
 */
export const reportedFeatures = 256;

/** A residual SAE, ready to be measured and described for a report. */
export function openResidual(dictionary: Dictionary, threads: number): Promise<SaeRunner> {
  return SaeRunner.open(dictionary, { threads, maxActive: reportedFeatures });
}
