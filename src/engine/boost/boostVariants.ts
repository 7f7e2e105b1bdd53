import type { VariantName } from '../../contracts/boostReport.ts';
import type { Dictionary } from '../../saes/dictionary.ts';
import type { ActivationWindow } from '../../training/activations/activations.ts';
import {
  harmlessThresholds,
  includedRows,
  thresholdForL0,
  withThreshold,
  type Candidates,
} from '../../training/calibrate.ts';
import type { Variant } from './boostMeasure.ts';
import { SaeRunner } from '../saes/saeRunner.ts';

/** What thresholds are calibrated on: activations with the base's errors as targets. */
export interface CalibrationText {
  readonly domain: readonly ActivationWindow[];
  readonly general: readonly ActivationWindow[];
}

export interface CalibrationOptions {
  readonly k: number;
  readonly threads: number;
  readonly signal: AbortSignal;
}

/** Features per token that a threshold is chosen among. */
const mostCandidates = (k: number): number => Math.max(64, 8 * k);

/**
 * Residual SAEs with their thresholds. Plain and mixed: on domain text, k features fire per token on average. Calibrated:
 * the plain weights with a threshold for each feature, from there on, calibrated against general text.
 */
export async function calibrateVariants(
  trained: { readonly plain: Dictionary; readonly mixed: Dictionary | undefined },
  text: CalibrationText,
  options: CalibrationOptions,
): Promise<Variant[]> {
  const { k } = options;
  const variant = (
    name: VariantName,
    dictionary: Dictionary,
    threshold: number | Float32Array,
    description: string,
  ): Variant => ({
    name,
    description,
    threshold: typeof threshold === 'number' ? threshold : mean(threshold),
    dictionary: withThreshold(dictionary, threshold),
  });
  const plain = await thresholds(trained.plain, text, options);
  const variants = [
    variant(
      'plain',
      trained.plain,
      plain.domain,
      `The paper’s method; its threshold lets ${k} features fire per token of the domain.`,
    ),
    variant(
      'calibrated',
      trained.plain,
      plain.harmless,
      'The same weights; features that do harm on general text have thresholds above what they reach there.',
    ),
  ];
  if (!trained.mixed) return variants;
  const mixed = await thresholds(trained.mixed, text, options);
  const description = `Trained on general text as well; its threshold lets ${k} features fire per token of the domain.`;
  return [...variants, variant('mixed', trained.mixed, mixed.domain, description)];
}

async function thresholds(
  trained: Dictionary,
  text: CalibrationText,
  { k, threads, signal }: CalibrationOptions,
): Promise<{ readonly domain: number; readonly harmless: Float32Array }> {
  const maxK = Math.min(trained.width, mostCandidates(k));
  const sae = await SaeRunner.open({ ...trained, rule: { kind: 'topk', maxK } }, { threads });
  const candidates = async (windows: readonly ActivationWindow[]): Promise<Candidates> => {
    const { x, target } = includedRows(windows, trained);
    return { encoding: await sae.encode(x, signal), target };
  };
  try {
    const domain = thresholdForL0(await candidates(text.domain), k);
    const harmless = harmlessThresholds(trained, await candidates(text.general), domain);
    return { domain, harmless };
  } finally {
    await sae.dispose();
  }
}

function mean(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
