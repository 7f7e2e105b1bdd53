import type { FeatureQuery, FeatureSort } from '../../src/contracts/panels.ts';
import { checkbox, dropdown, searchField } from '../shared/controls.ts';
import { element } from '../shared/dom.ts';
import { Latest } from '../shared/latest.ts';

/** Search box, sort order and the dense features' switch above the feature list. */
export interface QueryPanel {
  readonly element: HTMLElement;
  update(query: FeatureQuery): void;
}

const sorts: readonly { readonly value: FeatureSort; readonly label: string }[] = [
  { value: 'strongest', label: 'Strongest' },
  { value: 'mostTokens', label: 'Most tokens' },
  { value: 'rarest', label: 'Rarest' },
];

export function createQueryPanel(setQuery: (query: FeatureQuery) => Promise<unknown>): QueryPanel {
  const wanted = new Latest(setQuery, sameQuery);
  const push = (): void =>
    wanted.push({
      search: search.value.trim(),
      sort: sort.value ?? 'strongest',
      hideDense: hideDense.value,
    });
  const search = searchField('Search features', 'Number or label', push);
  const sort = dropdown('Sort features', sorts, push);
  const hideDense = checkbox('Hide dense', push);
  hideDense.element.title = 'Hide features that fire on a large share of all tokens';
  return {
    element: element(
      'div',
      { class: 'query', attributes: { role: 'search' } },
      search.element,
      sort.element,
      hideDense.element,
    ),
    update: query => {
      wanted.accept(query);
      if (wanted.busy) return;
      if (search.value.trim() !== query.search) search.value = query.search;
      sort.value = query.sort;
      hideDense.value = query.hideDense;
    },
  };
}

function sameQuery(a: FeatureQuery, b: FeatureQuery): boolean {
  return a.search === b.search && a.sort === b.sort && a.hideDense === b.hideDense;
}
