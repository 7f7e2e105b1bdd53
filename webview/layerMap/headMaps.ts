import type { RouteMap } from '../../src/contracts/layerMap.ts';
import { element, setText } from '../shared/dom.ts';
import { csvLines, csvText } from './heatMap/csv.ts';
import { createFigure, shownScale } from './heatMap/figure.ts';
import type { Cell } from './heatMap/heatMap.ts';
import { difference, headMatrix, routedLayers } from './heatMap/matrix.ts';
import { bufferName, keyValueHead, queryHead, type PageActions, type PageState } from './page.ts';
import { createThumbnail, type Thumbnail } from './heatMap/thumbnail.ts';
import { createLegend } from './heatMap/legend.ts';

/** The routes of a map and of the one at initialisation. */
export interface RoutePair {
  readonly map: RouteMap;
  readonly initial: RouteMap;
}

/** Small multiples, one per layer, head by buffer; the chosen one is large above them. */
export interface HeadMaps {
  readonly element: HTMLElement;
  update(page: PageState, pair: RoutePair, title: string): void;
}

export function createHeadMaps({ select, say }: PageActions): HeadMaps {
  let page: PageState | undefined;
  let pair: RoutePair | undefined;
  let title = '';
  let layer = 1;
  let thumbnails: Thumbnail[] = [];
  const figure = createFigure(say, ({ row, column }) => {
    if (page) select({ layer, head: queryHead(row, page.map), buffer: column });
  });
  const grid = element('div', {
    class: 'thumbnails',
    attributes: { role: 'group', 'aria-label': 'Layers' },
  });
  const caption = element('h2', { attributes: { 'aria-live': 'polite' } });
  const legend = createLegend();

  const cellName = ({ row, column }: Cell): string =>
    `Layer ${layer}, key-value head ${row} reads ${bufferName(column, layer)}`;

  const draw = (): void => {
    if (!page || !pair) return;
    const { map, state, subtract } = page;
    const layers = routedLayers(map.layers);
    const of = (routes: RouteMap, l: number) => headMatrix(routes.perHead, l, map, map.heads);
    const { map: shown, initial } = pair;
    const pairs = layers.map(l => ({ matrix: of(shown, l), initial: of(initial, l) }));
    const scale = shownScale(pairs, page);
    thumbnails.forEach((thumbnail, i) => {
      const drawn = pairs[i];
      if (!drawn) return;
      const matrix = subtract ? difference(drawn.matrix, drawn.initial) : drawn.matrix;
      thumbnail.update(matrix, scale, layers[i] === layer);
    });
    legend.update(scale);
    setText(caption, `Layer ${layer}`);
    const { route } = state.selection;
    const isHere = route?.layer === layer;
    figure.update({
      title,
      matrix: of(shown, layer),
      initial: of(initial, layer),
      among: pairs,
      subtract,
      root: page.root,
      selected: isHere ? { row: keyValueHead(route.head, map), column: route.buffer } : undefined,
      name: cellName,
    });
  };

  const build = (layers: number): void => {
    if (thumbnails.length === Math.max(0, layers - 1)) return;
    thumbnails = routedLayers(layers).map(l =>
      createThumbnail(l, () => {
        layer = l;
        draw();
      }),
    );
    grid.replaceChildren(...thumbnails.map(thumbnail => thumbnail.element));
    layer = 1;
  };

  return {
    element: element(
      'div',
      { class: 'headMaps' },
      caption,
      figure.element,
      element('div', { class: 'thumbnailHead' }, element('h2', {}, 'All layers'), legend.element),
      element(
        'p',
        { class: 'dim' },
        'One row per key-value head, head 0 on top; buffers from left to right. A click shows a layer above.',
      ),
      grid,
    ),
    update: (next, nextPair, nextTitle) => {
      const isFirst = page === undefined;
      const before = page?.state.selection.route;
      const { route } = next.state.selection;
      [page, pair, title] = [next, nextPair, nextTitle];
      build(next.map.layers);
      if (route && route.layer > 0 && (isFirst || before?.layer !== route.layer))
        layer = route.layer;
      draw();
    },
  };
}

/** Every head of every layer. */
export function headCsv({ map }: PageState, pair: RoutePair): string {
  const lines = routedLayers(map.layers).flatMap(layer =>
    csvLines(
      headMatrix(pair.map.perHead, layer, map, map.heads),
      headMatrix(pair.initial.perHead, layer, map, map.heads),
      [layer],
    ),
  );
  return csvText(['layer', 'head', 'buffer', 'share', 'initial'], lines);
}
