import { calibrateVariants } from '../../../src/engine/boost/boostVariants.ts';
import type { FrozenBase } from '../../../src/engine/boost/frozenBase.ts';
import type { Dictionary } from '../../../src/saes/dictionary.ts';
import { isResidualArm, nameOf, type Arm } from './arms.ts';
import type { Contender } from './heldOutText.ts';
import type { Body } from './material.ts';
import type { Variant } from './results.ts';
import { chosenFeatures, mostChanged, withExchanged, withFeatures } from './weights.ts';

/** Windows of training text that thresholds are calibrated on, of the domain and of general text: as in the product. */
const calibrationWindows = 48;

export interface VariantOptions {
  readonly frozen: FrozenBase;
  readonly general: Body;
  /** Features that stitching takes over. */
  readonly width: number;
  readonly threads: number;
  /** Whether the arm is one whose variants the model is run with. */
  readonly isMain: boolean;
  /** Whether it is one that the model is run with at all. */
  readonly isFull: boolean;
  readonly signal: AbortSignal;
}

export interface ArmContender extends Contender {
  readonly variant: Variant;
}

/** What is measured of a training. */
export async function contendersOf(
  arm: Arm,
  trained: Dictionary,
  body: Body,
  options: VariantOptions,
): Promise<ArmContender[]> {
  const { frozen, isMain, isFull, width } = options;
  const base = frozen.runner.dictionary;
  const contender = (variant: Variant, parts: Omit<Contender, 'name'>): ArmContender => ({
    name: `${nameOf(arm)}.${variant}`,
    variant,
    ...parts,
  });
  if (isResidualArm(arm)) {
    const variants = await calibrated(arm, trained, body, options);
    return variants.map(({ name, dictionary }) => {
      const variant = name === 'plain' ? 'plain' : 'calibrated';
      const withCe = isMain || (isFull && variant === 'plain');
      return contender(variant, { sae: base, residuals: [dictionary], withCe });
    });
  }
  const itself = contender('plain', { sae: trained, residuals: [], withCe: true });
  if (arm.method !== 'fine-tuned') return [itself];
  const changed = mostChanged(base, trained, width);
  return [
    itself,
    contender('appended', {
      sae: withFeatures(base, chosenFeatures(trained, changed)),
      residuals: [],
      withCe: true,
    }),
    contender('exchanged', {
      sae: withExchanged(base, trained, changed),
      residuals: [],
      withCe: false,
    }),
  ];
}

async function calibrated(
  { k }: Arm,
  plain: Dictionary,
  { errors }: Body,
  { frozen, general, threads, signal }: VariantOptions,
): Promise<{ readonly name: string; readonly dictionary: Dictionary }[]> {
  const { tokenPolicy } = frozen.runner.dictionary;
  const first = (source: Body['errors']) =>
    source.read(0, Math.min(calibrationWindows, source.windows), signal);
  const text = { domain: await first(errors), general: await first(general.errors) };
  const variants = await calibrateVariants({ plain, mixed: undefined }, text, {
    k,
    threads,
    signal,
  });
  return variants.map(({ name, dictionary }) => ({
    name,
    dictionary: { ...dictionary, tokenPolicy },
  }));
}
