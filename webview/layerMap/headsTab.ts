import { element } from '../shared/dom.ts';
import { createHeadMaps, headCsv, type RoutePair } from './headMaps.ts';
import type { PageActions, PageState, TabView } from './page.ts';

/** The paper's Fig. 9: how much each head's router takes from each buffer, one panel per layer. */
export function createHeadsTab(actions: PageActions): TabView {
  const maps = createHeadMaps(actions);
  const content = element(
    'section',
    {},
    element(
      'p',
      { class: 'lead' },
      'The same by head: the absolute weights that each key-value head gives the heads of each buffer, averaged over those, as a share of its row.',
    ),
    maps.element,
  );
  const pair = ({ map }: PageState): RoutePair => ({ map: map.routers, initial: map.initial });
  return {
    id: 'heads',
    label: 'Heads',
    ofDocument: false,
    element: content,
    update: page => maps.update(page, pair(page), 'Normalised |R|'),
    copies: page => ({
      name: 'heads',
      figure: maps.element,
      csv: () => headCsv(page, pair(page)),
    }),
  };
}
