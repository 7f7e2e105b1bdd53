import { element } from '../shared/dom.ts';

/** A table with a heading over each column; it scrolls sideways where it must, by the keyboard too. */
export function createTable(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
): HTMLElement {
  const head = headings.map(text => element('th', { attributes: { scope: 'col' } }, text));
  const body = rows.map(([first = '', ...rest]) =>
    element(
      'tr',
      {},
      element('th', { attributes: { scope: 'row' } }, first),
      ...rest.map(text => element('td', {}, text)),
    ),
  );
  const label = headings[0] ?? '';
  return element(
    'div',
    { class: 'scroller', attributes: { tabindex: '0', role: 'group', 'aria-label': label } },
    element(
      'table',
      {},
      element('thead', {}, element('tr', {}, ...head)),
      element('tbody', {}, ...body),
    ),
  );
}

/** Names and values of the file's own metadata. */
export function createNotes(notes: readonly (readonly [string, string])[]): HTMLElement {
  return createTable(['Name', 'Value'], notes);
}

export function section(title: string, ...content: readonly HTMLElement[]): HTMLElement {
  return element('section', {}, element('h2', {}, title), ...content);
}
