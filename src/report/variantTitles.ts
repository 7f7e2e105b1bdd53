import type { BoostReport, ReportVariant, VariantName } from '../contracts/boostReport.ts';

/** The variant that the domain is switched on with: it lies in the report's own folder. */
export function variantInUse({
  variants,
}: Pick<BoostReport, 'variants'>): ReportVariant | undefined {
  return variants.find(isInUse);
}

export function isInUse({ folder }: ReportVariant): boolean {
  return folder === '.';
}

/** What each variant is called where it is compared with the others. */
export const variantTitles: Readonly<Record<VariantName, string>> = {
  plain: 'Plain: the paper’s method',
  calibrated: 'Calibrated: threshold set against general text',
  mixed: 'Mixed: general text in the training',
};

/** The same where there is room for a word. */
export const variantNames: Readonly<Record<VariantName, string>> = {
  plain: 'Plain',
  calibrated: 'Calibrated',
  mixed: 'Mixed',
};
