import type { Dictionary } from '../../saes/dictionary.ts';
import type { Residual } from '../../saes/residualsGraph.ts';
import { BoostedSae } from './boostedSae.ts';
import { DeviceSae, readsOnDevice } from './deviceSae.ts';
import type { AnalysisSae } from './saeReading.ts';
import type { SaeRunnerOptions } from './saeRunner.ts';

/** A base and the residual SAEs of its domains, ready to read activations. */
export interface ReadySae extends AnalysisSae {
  readonly dictionary: Dictionary;
  /** K, features of the base kept per token. */
  readonly maxK: number;
  /** Of the weights that sessions hold. */
  readonly weightBytes: number;
  dispose(): Promise<void>;
}

/** Reads where the model's activations lie if all of the SAEs can be read there, and in memory if one cannot. */
export function openSae(
  base: Dictionary,
  residuals: readonly Residual[],
  options: SaeRunnerOptions,
): Promise<ReadySae> {
  const isThere = readsOnDevice([base, ...residuals.map(of => of.dictionary)], options.device);
  return (isThere ? DeviceSae : BoostedSae).open(base, residuals, options);
}
