import { formatActivation, formatCount, formatPercent, isKnown } from '../../src/common/numbers.ts';
import type { FeatureRow } from '../../src/contracts/panels.ts';
import { element, setText, setVariable } from '../shared/dom.ts';
import { icon, iconButton } from '../shared/icons.ts';
import { tokenText } from '../shared/tokenText.ts';

/** One feature of the document, as a row of the grid: a toggle that pins it, and two actions. */
export interface RowView {
  readonly element: HTMLElement;
  /** What the arrow keys move between: pin, next occurrence, open. */
  readonly stops: readonly HTMLButtonElement[];
  /** Whether it was made for this feature of this domain. */
  isOf(row: FeatureRow): boolean;
  /** `strongest` is the activation that fills the bar. */
  update(row: FeatureRow, pinned: boolean, strongest: number): void;
}

export interface RowActions {
  pin(feature: number): void;
  revealNext(feature: number): void;
  open(feature: number): void;
}

export function createRow({ feature, number, domain }: FeatureRow, actions: RowActions): RowView {
  const name = domain === null ? `feature ${number}` : `feature ${number} of ${domain}`;
  const label = element('bdi', { class: 'label' });
  const tokens = element('span');
  const activation = element('span');
  const density = element('span');
  const bar = element('span', { class: 'bar' });
  const pin = element(
    'button',
    { class: 'rowButton', attributes: { type: 'button' } },
    element('span', { class: 'number' }, icon('pin'), number.toString()),
    element('span', { class: 'labelCell' }, ...domainMark(domain), label),
    bar,
    element('span', { class: 'activation' }, unseen('strongest '), activation),
    element('span', { class: 'tokens' }, tokens, unseen(' tokens')),
    element('span', { class: 'density' }, density, unseen(' density')),
  );
  pin.addEventListener('click', () => actions.pin(feature));
  const next = iconButton('nextPlace', `Next token on which ${name} fires`, () =>
    actions.revealNext(feature),
  );
  const open = iconButton('open', `Open ${name}`, () => actions.open(feature));
  const stops = [pin, next, open];
  for (const stop of stops) stop.tabIndex = -1;
  let drawn: string | undefined;
  return {
    element: element(
      'div',
      { class: 'row', attributes: { role: 'row' } },
      element('div', { class: 'cell', attributes: { role: 'gridcell' } }, pin),
      element('div', { class: 'actions', attributes: { role: 'gridcell' } }, next, open),
    ),
    stops,
    isOf: row => row.number === number && row.domain === domain,
    update(row, pinned, strongest) {
      if (drawn !== row.label) drawLabel(label, row.label);
      drawn = row.label;
      setText(tokens, formatCount(row.tokens));
      setText(activation, formatActivation(row.maxActivation));
      setText(density, formatPercent(row.density));
      setVariable(bar, '--share', `${share(row.maxActivation, strongest)}%`);
      pin.title = tooltip(row, pinned);
      pin.setAttribute('aria-pressed', pinned.toString());
      this.element.setAttribute('aria-selected', pinned.toString());
    },
  };
}

/** "+ chemistry" before the label of a feature that a domain adds. */
function domainMark(domain: string | null): HTMLElement[] {
  if (domain === null) return [];
  return [element('span', { class: 'domainMark' }, '+ ', element('bdi', {}, domain))];
}

function share(activation: number, strongest: number): number {
  return strongest > 0 ? Math.min(100, (100 * activation) / strongest) : 0;
}

function drawLabel(target: HTMLElement, label: string): void {
  target.replaceChildren(...(label === '' ? ['no label'] : tokenText(label)));
  target.classList.toggle('none', label === '');
}

/** Words that only screen readers need: the columns say them to the eye. */
function unseen(words: string): HTMLElement {
  return element('span', { class: 'unseen' }, words);
}

function tooltip(row: FeatureRow, pinned: boolean): string {
  const density = !isKnown(row.density)
    ? 'Density unknown'
    : `Fires on ${formatPercent(row.density)} of the reference corpus`;
  return [
    `Active on ${formatCount(row.tokens)} of this document’s tokens at this k, at most ${formatActivation(row.maxActivation)}`,
    density,
    pinned ? 'Click to unpin' : 'Click to pin: the file is tinted by it',
  ].join('\n');
}
