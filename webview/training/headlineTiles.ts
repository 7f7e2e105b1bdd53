import { formatChange, formatDecimal } from '../../src/common/numbers.ts';
import type { BoostReport, ReportVariant } from '../../src/contracts/boostReport.ts';
import { variantInUse } from '../../src/report/variantTitles.ts';
import { element } from '../shared/dom.ts';

interface Tile {
  readonly name: string;
  readonly value: string;
  readonly change: string;
  /** 'good', 'bad', or '' where the change is too small to judge. */
  readonly verdict: string;
}

/** The numbers that a report is read for, of the variant in use: large. */
export function headlineTiles(report: BoostReport): HTMLElement[] {
  const variant = variantInUse(report);
  if (!variant) return [];
  const tiles = tilesOf(variant).map(({ name, value, change, verdict }) =>
    element(
      'div',
      {},
      element('dt', {}, name),
      element('dd', { class: 'change' }, element('span', { class: verdict }, change)),
      element('dd', { class: 'dim' }, value),
    ),
  );
  return [element('dl', { class: 'headline' }, ...tiles)];
}

function tilesOf({ domain, general }: ReportVariant): readonly Tile[] {
  const between = (base: number, boosted: number): string =>
    `${formatDecimal(base)} → ${formatDecimal(boosted)}`;
  return [
    {
      name: 'EV, domain text',
      value: between(domain.base.ev, domain.boosted.ev),
      change: formatChange(domain.evChange),
      verdict: verdict(domain.evChange),
    },
    {
      name: 'ΔCE, domain text',
      value: between(domain.base.deltaCe, domain.boosted.deltaCe),
      change: formatChange(domain.deltaCeChange),
      verdict: verdict(-domain.deltaCeChange),
    },
    {
      name: 'EV, general text',
      value: between(general.base.ev, general.boosted.ev),
      change: formatChange(general.evChange),
      // The paper's bound for general text: a loss below 1 % is none.
      verdict: general.evChange < -0.01 ? 'bad' : '',
    },
  ];
}

function verdict(gain: number): string {
  if (!Number.isFinite(gain) || Math.abs(gain) < 0.001) return '';
  return gain > 0 ? 'good' : 'bad';
}
