import type { VariantName } from '../contracts/boostReport.ts';

/** What each variant is called where it is compared with the others. */
export const variantTitles: Readonly<Record<VariantName, string>> = {
  plain: 'Plain: the paper’s method',
  calibrated: 'Calibrated: threshold set against general text',
  mixed: 'Mixed: general text in the training',
};
