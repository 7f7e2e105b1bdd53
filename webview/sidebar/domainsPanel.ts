import { formatActivation, formatPercent } from '../../src/common/numbers.ts';
import type { DocumentState, SidebarCommand, SidebarHost } from '../../src/contracts/panels.ts';
import type { Caller } from '../../src/messages/calls.ts';
import { button, checkbox } from '../shared/controls.ts';
import { element, setText } from '../shared/dom.ts';
import { send } from '../shared/host.ts';
import { iconButton } from '../shared/icons.ts';
import { createDomainRow, type DomainRowView } from './domainRow.ts';

/** The domains that can be switched on, and the comparison with and without them. */
export interface DomainsPanel {
  readonly element: HTMLElement;
  update(document: DocumentState): void;
}

export function createDomainsPanel(host: Caller<SidebarHost>): DomainsPanel {
  const run = (command: SidebarCommand) => (): void => send(host.call('run', { command }));
  const list = element('ul', { class: 'domainList' });
  const empty = element(
    'div',
    { class: 'noDomains' },
    element(
      'p',
      { class: 'dim' },
      'A residual SAE adds the features that a body of text needs and the base lacks. Train one, or add one that you have with +.',
    ),
    button('Train Residual SAE on Workspace', run('trainResidual')),
  );
  const compare = checkbox('Compare', on => send(host.call('setCompare', { on })));
  compare.element.title =
    'Tint tokens by what the domains that are on change of the error |x − x̂|, not by their features';
  const legend = createLegend();
  const comparison = element('div', { class: 'comparison' }, compare.element, legend.element);
  const add = iconButton('add', 'Add a residual SAE…', run('addDomain'));
  const train = iconButton('train', 'Train a residual SAE on the workspace…', run('trainResidual'));
  const remove = iconButton('remove', 'Remove a domain…', run('removeDomain'));
  const tools = element('div', { class: 'tools' }, train, add, remove);
  const rows = new Map<string, DomainRowView>();
  return {
    element: element(
      'section',
      { class: 'domains', attributes: { 'aria-label': 'Domains' } },
      element('div', { class: 'sectionHead' }, element('h3', {}, 'Domains'), tools),
      empty,
      list,
      comparison,
    ),
    update: document => {
      const { domains, compared } = document;
      empty.hidden = domains.length > 0;
      list.hidden = train.hidden = remove.hidden = domains.length === 0;
      comparison.hidden = !domains.some(({ on }) => on);
      drawRows(document, rows, list, (path, on) => send(host.call('setDomain', { path, on })));
      compare.value = compared !== null;
      legend.update(compared);
    },
  };
}

/** Keeps the element of a domain that stays: it may have the focus. */
function drawRows(
  { domains, k }: DocumentState,
  rows: Map<string, DomainRowView>,
  list: HTMLElement,
  toggle: (path: string, on: boolean) => void,
): void {
  const keys = domains.map(({ path, name }) => `${path}\n${name}`);
  for (const [key, row] of rows) {
    if (keys.includes(key)) continue;
    row.element.remove();
    rows.delete(key);
  }
  for (const [i, domain] of domains.entries()) {
    const key = keys[i] ?? '';
    const row = rows.get(key) ?? createDomainRow(domain, on => toggle(domain.path, on));
    rows.set(key, row);
    row.update(domain, k);
    const there = list.children[i];
    if (there !== row.element) list.insertBefore(row.element, there ?? null);
  }
}

/** What the two families of tints mean, and how far they reach in this document. */
function createLegend(): {
  readonly element: HTMLElement;
  update(compared: DocumentState['compared']): void;
} {
  const shrunk = element('span');
  const grown = element('span');
  const swatch = (direction: string): HTMLElement =>
    element('span', { class: `swatch ${direction}`, attributes: { 'aria-hidden': 'true' } });
  const legend = element(
    'p',
    { class: 'legend dim', attributes: { role: 'note', 'aria-label': 'Tints of the comparison' } },
    element('span', {}, swatch('shrunk'), shrunk),
    element('span', {}, swatch('grown'), grown),
  );
  return {
    element: legend,
    update: compared => {
      legend.hidden = compared === null;
      if (!compared) return;
      setText(shrunk, `error shrinks, at most −${percent(compared.shrunk)}`);
      setText(grown, `grows, at most +${percent(compared.grown)}`);
    },
  };
}

function percent(fraction: number): string {
  return fraction >= 10 ? `${formatActivation(fraction)} ×` : formatPercent(fraction);
}
