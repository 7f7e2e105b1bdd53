import { isResidualArm, type Method } from './arms.ts';
import type { Results, Row, Variant } from './results.ts';

/** A method as the tables compare it: what is made of the trainings of a kind. */
export interface Compared {
  readonly label: string;
  readonly method: Method;
  readonly variant: Variant;
  readonly colour: string;
}

/** The paper's method, its remedies, and what it is compared with. */
export const compared: readonly Compared[] = [
  { label: 'Boost', method: 'boost', variant: 'plain', colour: '#0a58a8' },
  { label: 'Boost, calibrated', method: 'boost', variant: 'calibrated', colour: '#4aa3df' },
  { label: 'Boost, general mixed in', method: 'mixed', variant: 'plain', colour: '#12805c' },
  { label: 'full fine-tuning', method: 'fine-tuned', variant: 'plain', colour: '#c4502b' },
  { label: 'extended, random', method: 'extended-random', variant: 'plain', colour: '#e0a100' },
  {
    label: 'extended, most active',
    method: 'extended-active',
    variant: 'plain',
    colour: '#8a6d00',
  },
  { label: 'stitched', method: 'fine-tuned', variant: 'appended', colour: '#6d2248' },
  { label: 'stitched in place', method: 'fine-tuned', variant: 'exchanged', colour: '#b06a9a' },
];

/** The row of a method for a domain at the settings of the comparison; undefined where it was not trained. */
export function rowOf(
  { rows, settings }: Results,
  domain: string,
  { method, variant }: Pick<Compared, 'method' | 'variant'>,
): Row | undefined {
  return rows.find(
    row =>
      row.domain === domain &&
      row.method === method &&
      row.variant === variant &&
      row.seed === 0 &&
      row.tokens === settings.tokens &&
      (!isResidualArm(row) || row.k === settings.k),
  );
}
