import { formatCount } from '../../src/common/numbers.ts';
import type { DocumentState, FeatureRow } from '../../src/contracts/panels.ts';
import { element, setText } from '../shared/dom.ts';
import { keepState, readKeptState } from '../shared/host.ts';
import { createRow, type RowActions, type RowView } from './featureRow.ts';

/** The document's features as a grid that the arrow keys walk through; rows keep focus and place across updates. */
export interface FeatureList {
  readonly element: HTMLElement;
  update(document: DocumentState): void;
}

/** Where in the grid the keyboard is: one stop is reachable by Tab, the arrow keys move it. */
interface Place {
  feature: number | undefined;
  row: number;
  stop: number;
}

export function createFeatureList(actions: RowActions): FeatureList {
  const count = element('p', { class: 'count', attributes: { role: 'status' } });
  const header = columnHeader();
  const grid = element('div', {
    attributes: { role: 'grid', 'aria-label': 'Features of this document' },
  });
  const scroller = element('div', { class: 'scroller' }, header, grid);
  const views = new Map<number, RowView>();
  let order: readonly number[] = [];
  const kept = readKeptState();
  const place: Place = { feature: kept['feature'], row: 0, stop: 0 };
  let scrollTop = kept['listScroll'];

  const stopsOf = (feature: number | undefined): readonly HTMLButtonElement[] =>
    (feature === undefined ? undefined : views.get(feature)?.stops) ?? [];
  const moveTo = (row: number, stop: number): void => {
    setTabStops(stopsOf(place.feature), false);
    place.row = Math.max(0, Math.min(order.length - 1, row));
    place.stop = Math.max(0, Math.min(2, stop));
    place.feature = order[place.row];
    setTabStops(stopsOf(place.feature), true);
  };

  grid.addEventListener('keydown', event => {
    const step = event.altKey || event.ctrlKey || event.metaKey ? undefined : steps[event.key];
    if (!step) return;
    event.preventDefault();
    const next = step(place, order.length);
    moveTo(next.row, next.stop);
    stopsOf(place.feature)[place.stop]?.focus();
  });
  grid.addEventListener('focusin', ({ target }) => {
    for (const [row, feature] of order.entries()) {
      const stop = stopsOf(feature).findIndex(candidate => candidate === target);
      if (stop >= 0) moveTo(row, stop);
    }
    if (place.feature !== undefined) keepState({ feature: place.feature });
  });
  scroller.addEventListener('scroll', () => keepState({ listScroll: scroller.scrollTop }), {
    passive: true,
  });

  return {
    element: element(
      'section',
      { class: 'list', attributes: { 'aria-label': 'Features' } },
      count,
      scroller,
    ),
    update: document => {
      const focused = grid.contains(globalThis.document.activeElement);
      order = draw(document, views, grid, actions);
      const found = place.feature === undefined ? -1 : order.indexOf(place.feature);
      moveTo(found < 0 ? place.row : found, place.stop);
      setText(count, summary(document));
      header.hidden = order.length === 0;
      // Moving a row in the document takes the focus from it.
      if (focused) stopsOf(place.feature)[place.stop]?.focus({ preventScroll: true });
      if (scrollTop !== undefined) scroller.scrollTop = scrollTop;
      scrollTop = undefined;
    },
  };
}

/** Makes the grid's rows those of the snapshot, keeping the elements of features that stay. */
function draw(
  { rows, pinned }: DocumentState,
  views: Map<number, RowView>,
  grid: HTMLElement,
  actions: RowActions,
): readonly number[] {
  const strongest = rows.reduce((most, row) => Math.max(most, row.maxActivation), 0);
  const present = new Set(rows.map(({ feature }) => feature));
  for (const [feature, view] of views) {
    if (present.has(feature)) continue;
    view.element.remove();
    views.delete(feature);
  }
  for (const [i, row] of rows.entries()) {
    const view = rowOf(views, row, actions);
    views.set(row.feature, view);
    view.update(row, row.feature === pinned, strongest);
    const there = grid.children[i];
    if (there !== view.element) grid.insertBefore(view.element, there ?? null);
  }
  return rows.map(({ feature }) => feature);
}

/** The element of the row's feature; another where the number now stands for another feature. */
function rowOf(views: Map<number, RowView>, row: FeatureRow, actions: RowActions): RowView {
  const known = views.get(row.feature);
  if (known?.isOf(row)) return known;
  known?.element.remove();
  return createRow(row, actions);
}

function columnHeader(): HTMLElement {
  const names = ['feature', 'label', 'max', 'tokens', 'density'];
  const titles = [
    'Number of the feature in the SAE',
    'The tokens on which it fires most',
    'Its largest activation in this document, in the SAE’s own scale',
    'This document’s tokens on which it is active at this k',
    'Share of the reference corpus’ tokens on which it is active',
  ];
  const cells = names.map((name, i) =>
    element('span', { class: name, title: titles[i] ?? '' }, name),
  );
  // Every row's own name says its numbers in words.
  return element('div', { class: 'columns', attributes: { 'aria-hidden': 'true' } }, ...cells);
}

function summary({ rows, matching, query, partial }: DocumentState): string {
  const so = partial ? ' so far' : '';
  if (matching === 0) {
    const narrowed = query.search !== '' || query.hideDense;
    return narrowed ? 'No feature matches.' : `No feature fires${so}.`;
  }
  const features = `${formatCount(matching)} ${matching === 1 ? 'feature' : 'features'}${so}`;
  return rows.length < matching ? `${features}, the first ${formatCount(rows.length)}` : features;
}

/** Within the row that holds the keyboard's place, all three stops can be reached by Tab. */
function setTabStops(stops: readonly HTMLButtonElement[], reachable: boolean): void {
  for (const stop of stops) stop.tabIndex = reachable ? 0 : -1;
}

/** Rows that PageUp and PageDown pass over. */
const page = 10;

const steps: Partial<
  Record<string, (place: Place, rows: number) => { row: number; stop: number }>
> = {
  ArrowUp: ({ row, stop }) => ({ row: row - 1, stop }),
  ArrowDown: ({ row, stop }) => ({ row: row + 1, stop }),
  PageUp: ({ row, stop }) => ({ row: row - page, stop }),
  PageDown: ({ row, stop }) => ({ row: row + page, stop }),
  ArrowLeft: ({ row, stop }) => ({ row, stop: stop - 1 }),
  ArrowRight: ({ row, stop }) => ({ row, stop: stop + 1 }),
  Home: ({ stop }) => ({ row: 0, stop }),
  End: ({ stop }, rows) => ({ row: rows - 1, stop }),
};
