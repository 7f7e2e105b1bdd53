import type { AnalysisPart } from '../contracts/engine.ts';

/** Which features count: the base's k strongest of each token, and all that fire of the domains that are on. */
export interface Kept {
  readonly k: number;
  /** Places of the domains in `SaeInfo.domains`, ascending. */
  readonly on: readonly number[];
}

type Ranked = Pick<AnalysisPart, 'k' | 'features' | 'activations'>;

/** Visits the features of a row that count: the base's, then each domain's, each strongest first. */
export function visitKept(
  part: AnalysisPart,
  row: number,
  { k, on }: Kept,
  visit: (feature: number, activation: number) => void,
): void {
  visitFiring(part, row, k, visit);
  for (const domain of on) {
    const ranked = part.domains[domain];
    if (ranked) visitFiring(ranked, row, ranked.k, visit);
  }
}

function visitFiring(
  { k: K, features, activations }: Ranked,
  row: number,
  k: number,
  visit: (feature: number, activation: number) => void,
): void {
  for (let i = row * K; i < row * K + Math.min(k, K); i++) {
    const activation = activations[i] ?? 0;
    if (activation <= 0) return; // in descending order
    visit(features[i] ?? 0, activation);
  }
}

/**
 * |x - xhat_k - sum of ehat over the domains that are on|^2 of a row, by `AnalysisPart.gram`'s equation; the base's
 * number itself where they add nothing. Rounding may bring it a little below 0.
 */
export function squaredErrorOf(part: AnalysisPart, row: number, { k, on }: Kept): number {
  // A part with fewer ranks has the error of its last for those beyond it.
  const at = row * part.k + Math.min(k, part.k) - 1;
  const n = part.domains.length;
  let error = part.squaredError[at] ?? 0;
  for (const a of on) {
    error -= 2 * (part.domains[a]?.products[at] ?? 0);
    for (const b of on) error += part.gram[(row * n + a) * n + b] ?? 0;
  }
  return error;
}
