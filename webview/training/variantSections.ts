import { formatDecimal } from '../../src/common/numbers.ts';
import type { BoostReport, ReportVariant } from '../../src/contracts/boostReport.ts';
import { measureRows, type MeasureCells } from '../../src/report/measureRows.ts';
import { variantTitles } from '../../src/report/variantTitles.ts';
import { element } from '../shared/dom.ts';

/** A table for each variant, base against boosted on both texts, with one for the subsets of domains. */
export function variantSections({ variants }: BoostReport): HTMLElement[] {
  return variants.map(variant =>
    element(
      'section',
      { class: 'variant' },
      element('h2', {}, variantTitles[variant.name]),
      element('p', {}, `${variant.description} Threshold ${formatDecimal(variant.threshold, 2)}.`),
      scrolled(measureTable(variant), variantTitles[variant.name]),
      ...subsets(variant),
    ),
  );
}

function measureTable(variant: ReportVariant): HTMLElement {
  const rows = measureRows(variant).map(({ name, meaning, domain, general }) =>
    element(
      'tr',
      {},
      element('th', { title: meaning, attributes: { scope: 'row' } }, name),
      ...cells(domain),
      ...cells(general),
    ),
  );
  return comparison(['base', 'boosted', 'change'], rows);
}

function cells({ base, boosted, change, better }: MeasureCells): HTMLElement[] {
  const verdict = better === null ? '' : better ? ' good' : ' bad';
  return [
    element('td', {}, base),
    element('td', {}, boosted),
    element('td', { class: `change${verdict}` }, change),
  ];
}

function subsets({ subsets, name }: ReportVariant): HTMLElement[] {
  if (subsets.length === 0) return [];
  const rows = subsets.map(({ domains, domain, general }) =>
    element(
      'tr',
      {},
      element('th', { attributes: { scope: 'row', dir: 'auto' } }, domains.join(' + ')),
      ...[domain, general].flatMap(({ ev, deltaCe, residualL0 }) => [
        element('td', {}, formatDecimal(ev)),
        element('td', {}, formatDecimal(deltaCe)),
        element('td', {}, formatDecimal(residualL0, 1)),
      ]),
    ),
  );
  const table = comparison(['EV', 'ΔCE', 'residual L0'], rows);
  return [
    element('h3', {}, 'Other sets of domains that are on'),
    scrolled(table, `Subsets of domains, ${name}`),
  ];
}

/** A table with the same columns for domain and for general text. */
function comparison(columns: readonly string[], rows: readonly HTMLElement[]): HTMLElement {
  const group = (name: string): HTMLElement =>
    element('th', { attributes: { scope: 'colgroup', colspan: `${columns.length}` } }, name);
  const heads = [...columns, ...columns].map(name =>
    element('th', { attributes: { scope: 'col' } }, name),
  );
  return element(
    'table',
    { class: 'comparison' },
    element(
      'thead',
      {},
      element('tr', {}, element('td'), group('Domain text'), group('General text')),
      element('tr', {}, element('td'), ...heads),
    ),
    element('tbody', {}, ...rows),
  );
}

/** Lets a wide table scroll in a narrow panel, by keyboard too. */
function scrolled(table: HTMLElement, name: string): HTMLElement {
  return element(
    'div',
    { class: 'scrolled', attributes: { tabindex: '0', role: 'region', 'aria-label': name } },
    table,
  );
}
