import type { Route } from '../../src/contracts/layerMap.ts';
import type { TokenMap } from '../../src/contracts/layerMapPanel.ts';
import { element } from '../shared/dom.ts';
import { send } from '../shared/host.ts';
import { csvLines, csvText } from './heatMap/csv.ts';
import { createFigure } from './heatMap/figure.ts';
import { readerMatrix, strongestHead, type Matrix } from './heatMap/matrix.ts';
import {
  layerCell,
  layerCellName,
  type PageActions,
  type PageState,
  type TabView,
} from './page.ts';
import { createSelect } from './select.ts';
import { createTokenStrip } from './tokenStrip.ts';
import { createWorkView } from './workView.ts';

/** From which buffers the heads' outputs came for the token under the cursor. */
export function createTokenTab({ host, select, say }: PageActions): TabView {
  let shown: PageState | undefined;
  let head: number | 'mean' = 'mean';
  const work = createWorkView(() => send(host.call('retry', { part: 'document' })));
  const heads = createSelect('Head', value => {
    head = value === 'mean' ? 'mean' : Number(value);
    if (shown) draw(shown);
  });
  const strip = createTokenStrip(token => send(host.call('moveToken', { token })), heads.element);
  const figure = createFigure(say, ({ row, column }) => {
    const value = shown && tokenOf(shown);
    if (!shown || !value) return;
    const { map } = shown;
    const at = { layer: row + 1, buffer: column };
    const reader =
      head === 'mean' ? strongestHead(value.shares, at, map.layers, map.queryHeads) : head;
    select({ ...at, head: reader });
  });
  const content = element('div', { class: 'tokenMap' }, strip.element, figure.element);

  const matrices = (
    { map }: PageState,
    { shares, initial }: TokenMap,
    reader: number | 'mean',
  ): { matrix: Matrix; initial: Matrix } => ({
    matrix: readerMatrix(shares, reader, map, map.queryHeads),
    initial: readerMatrix(initial, reader, map, map.queryHeads),
  });

  const draw = (page: PageState): void => {
    shown = page;
    const { document, token, selection } = page.state;
    const value = tokenOf(page);
    content.hidden = !value;
    const isRun = document.kind === 'ready';
    work.update(
      !isRun
        ? document
        : token.kind === 'none'
          ? { kind: 'none', reason: 'Put the cursor on a token of the file that was run.' }
          : token,
    );
    if (!value) return;
    const { queryHeads } = page.map;
    if (head !== 'mean' && head >= queryHeads) head = 'mean';
    strip.update(value);
    heads.update(
      [
        { value: 'mean', label: 'Mean over heads' },
        ...Array.from({ length: queryHeads }, (_, h) => ({ value: `${h}`, label: `Head ${h}` })),
      ],
      `${head}`,
    );
    const both = matrices(page, value, head);
    const reader = head === 'mean' ? ', mean over heads,' : `, head ${head},`;
    const { route } = selection;
    figure.update({
      ...both,
      title: head === 'mean' ? 'Share of the heads’ output' : `Share of head ${head}’s output`,
      subtract: page.subtract,
      root: page.root,
      selected: isOfHead(route, head) ? layerCell(route, both.matrix) : undefined,
      name: layerCellName(both.matrix, reader),
    });
  };

  const panel = element(
    'section',
    {},
    element(
      'p',
      { class: 'lead' },
      'Where the output of each head came from at the token under the cursor: the share of what it took from each buffer, over all the tokens that it attends to. Arrow keys move the token.',
    ),
    work.element,
    content,
  );
  panel.addEventListener('keydown', event => {
    const isField = event.target instanceof Element && event.target.closest('select, input');
    if (event.altKey || event.ctrlKey || event.metaKey || isField) return;
    if (strip.press(event.key)) event.preventDefault();
  });

  return {
    id: 'token',
    label: 'Token',
    ofDocument: true,
    element: panel,
    update: draw,
    copies: page => {
      const value = tokenOf(page);
      if (!value) return null;
      return {
        name: `token-${value.token}`,
        figure: figure.element,
        csv: () => tokenCsv(page, value),
      };
    },
  };
}

function tokenOf({ state: { document, token } }: PageState): TokenMap | undefined {
  return document.kind === 'ready' && token.kind === 'ready' ? token.value : undefined;
}

function isOfHead(route: Route | null, head: number | 'mean'): boolean {
  return route !== null && (head === 'mean' || route.head === head);
}

/** Every head of every layer, for this token. */
function tokenCsv({ map }: PageState, { shares, initial }: TokenMap): string {
  const lines = Array.from({ length: map.queryHeads }, (_, head) =>
    csvLines(
      readerMatrix(shares, head, map, map.queryHeads),
      readerMatrix(initial, head, map, map.queryHeads),
      [head],
    ),
  ).flat();
  const header = ['head', 'layer', 'buffer', 'share', 'initial'];
  return csvText(header, lines);
}
