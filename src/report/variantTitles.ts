import type { VariantName } from '../contracts/boostReport.ts';

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
