import { Failure } from '../../common/failure.ts';
import type { VariantName } from '../../contracts/boostReport.ts';
import type { Dictionary } from '../../saes/dictionary.ts';
import type { ActivationWindow } from '../../training/activations/activations.ts';
import { includedRows } from '../../training/calibrate.ts';
import type { Variant } from './boostMeasure.ts';
import { openResidual } from '../saes/residualRunner.ts';

/**
 * Where general explained variance falls by more than this share, the plain method is not the one to use: half of what
 * the paper counts as no loss, since it is measured on a sample.
 */
export const toleratedLoss = 0.005;

/** The variant to use, and how it was decided. */
export interface Choice {
  readonly name: VariantName;
  /** Relative change of EV by the plain variant on the text that decided, (after - before) / before. */
  readonly evChange: number;
  /** Of that text. */
  readonly tokens: number;
}

export interface ChoiceOptions {
  readonly threads: number;
  readonly signal: AbortSignal;
}

/**
 * The mixed variant where there is one, else the plain one unless general text suffers by it. `general`: the windows
 * that thresholds are calibrated on, with the base's errors as targets; not those that the report measures, whose
 * figures would be the better for having been chosen by. The plain variant's threshold was not fitted to either.
 */
export async function chooseVariant(
  variants: readonly Variant[],
  general: readonly ActivationWindow[],
  options: ChoiceOptions,
): Promise<Choice> {
  const plain = variants.find(({ name }) => name === 'plain');
  if (!plain) throw new Failure('internal', 'There is no plain variant.');
  const { evChange, tokens } = await changeBy(plain.dictionary, general, options);
  const isMixed = variants.some(({ name }) => name === 'mixed');
  const unmixed = evChange < -toleratedLoss ? 'calibrated' : 'plain';
  return { name: isMixed ? 'mixed' : unmixed, evChange, tokens };
}

/** EV = 1 - sum |e|^2 / sum |x - mean(x)|^2, with e the base's error and what the residual SAE leaves of it. */
async function changeBy(
  residual: Dictionary,
  windows: readonly ActivationWindow[],
  { threads, signal }: ChoiceOptions,
): Promise<Pick<Choice, 'evChange' | 'tokens'>> {
  const { x, target } = includedRows(windows, residual); // (N, D)
  const sae = await openResidual(residual, threads);
  try {
    const output = sae.reconstruct(await sae.encode(x, signal), sae.maxK);
    const left = target.map((e, i) => e - (output[i] ?? NaN));
    const total = squares(centred(x, residual.inputWidth));
    const [before, after] = [1 - squares(target) / total, 1 - squares(left) / total];
    return { evChange: (after - before) / before, tokens: x.length / residual.inputWidth };
  } finally {
    await sae.dispose();
  }
}

/** x - mean(x) over the rows, (N, D). */
function centred(x: Float32Array, D: number): Float32Array {
  const mean = new Float64Array(D);
  x.forEach((value, i) => {
    mean[i % D] = (mean[i % D] ?? 0) + value;
  });
  const rows = x.length / D;
  return x.map((value, i) => value - (mean[i % D] ?? 0) / rows);
}

function squares(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value * value, 0);
}
