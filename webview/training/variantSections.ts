import { formatDecimal } from '../../src/common/numbers.ts';
import type { BoostReport, ReportVariant } from '../../src/contracts/boostReport.ts';
import { measureRows, type MeasureCells } from '../../src/report/measureRows.ts';
import { isInUse, variantNames, variantTitles } from '../../src/report/variantTitles.ts';
import { element } from '../shared/dom.ts';

/** The variants side by side, then each with its table, base against boosted on both texts, and one for the subsets. */
export function variantSections({ variants }: BoostReport): HTMLElement {
  const details = variants.map(variant =>
    element(
      'details',
      { class: 'variant', attributes: isInUse(variant) ? { open: '' } : {} },
      element('summary', {}, variantTitles[variant.name], ...useMark(variant)),
      element('p', {}, `${variant.description} Threshold ${formatDecimal(variant.threshold, 2)}.`),
      scrolled(measureTable(variant), variantTitles[variant.name]),
      ...subsets(variant),
    ),
  );
  return element(
    'section',
    { class: 'variants' },
    ...(variants.length > 1 ? [sideBySide(variants)] : []),
    ...details,
  );
}

/** What each variant changes: the paper's method and its remedies for general text. */
function sideBySide(variants: readonly ReportVariant[]): HTMLElement {
  const rows = variants.map(variant => {
    const [ev, deltaCe] = measureRows(variant);
    const changes = (text: 'domain' | 'general'): HTMLElement[] =>
      [ev, deltaCe].map(row => changeCell(row?.[text]));
    return element(
      'tr',
      {},
      element(
        'th',
        { title: variantTitles[variant.name], attributes: { scope: 'row' } },
        variantNames[variant.name],
        ...useMark(variant),
      ),
      ...secondHalf([...changes('domain'), ...changes('general')]),
    );
  });
  const table = comparison(['EV', 'ΔCE'], rows);
  table.classList.add('sideBySide');
  return element(
    'div',
    {},
    element('h2', {}, 'The paper’s method and the remedies for general text'),
    scrolled(table, 'Variants, change against the base'),
  );
}

/** Behind the name of the variant that the domain is switched on with. */
function useMark(variant: ReportVariant): HTMLElement[] {
  return isInUse(variant) ? [element('span', { class: 'useMark' }, ' · in use')] : [];
}

function measureTable(variant: ReportVariant): HTMLElement {
  const rows = measureRows(variant).map(({ name, meaning, domain, general }) =>
    element(
      'tr',
      {},
      element('th', { title: meaning, attributes: { scope: 'row' } }, name),
      ...secondHalf([...cells(domain), ...cells(general)]),
    ),
  );
  return comparison(['base', 'boosted', 'change'], rows);
}

function cells(measured: MeasureCells): HTMLElement[] {
  const { base, boosted } = measured;
  return [element('td', {}, base), element('td', {}, boosted), changeCell(measured)];
}

function changeCell(measured: MeasureCells | undefined): HTMLElement {
  const better = measured?.better ?? null;
  const verdict = better === null ? '' : better ? 'good' : 'bad';
  return element('td', { class: verdict }, measured?.change ?? '');
}

/** Marks where the columns of general text begin. */
function secondHalf(cells: readonly HTMLElement[]): readonly HTMLElement[] {
  cells[cells.length / 2]?.classList.add('second');
  return cells;
}

function subsets({ subsets, name }: ReportVariant): HTMLElement[] {
  if (subsets.length === 0) return [];
  const rows = subsets.map(({ domains, domain, general }) =>
    element(
      'tr',
      {},
      element('th', { attributes: { scope: 'row', dir: 'auto' } }, domains.join(' + ')),
      ...secondHalf(
        [domain, general].flatMap(({ ev, deltaCe, residualL0 }) => [
          element('td', {}, formatDecimal(ev)),
          element('td', {}, formatDecimal(deltaCe)),
          element('td', {}, formatDecimal(residualL0, 1)),
        ]),
      ),
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
      element('tr', {}, element('td'), ...secondHalf(heads)),
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
