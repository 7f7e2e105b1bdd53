import { formatCount } from '../../src/common/numbers.ts';
import type { DocumentMap } from '../../src/contracts/layerMapPanel.ts';
import { element, setText } from '../shared/dom.ts';
import { send } from '../shared/host.ts';
import { csvLines, csvText } from './heatMap/csv.ts';
import { createFigure } from './heatMap/figure.ts';
import { createHeadMaps, headCsv, type RoutePair } from './headMaps.ts';
import { layerMatrix, strongestHead } from './heatMap/matrix.ts';
import {
  layerCell,
  layerCellName,
  queryHead,
  type PageActions,
  type PageState,
  type TabView,
} from './page.ts';
import { createRadios } from './radios.ts';
import { createWorkView } from './workView.ts';

/** The maps of layers and heads by what each buffer contributes on the open document. */
export function createDocumentTab(actions: PageActions): TabView {
  let shown: PageState | undefined;
  const about = element('p', { class: 'lead' });
  const work = createWorkView(() => send(actions.host.call('retry', { part: 'document' })));
  const figure = createFigure(actions.say, ({ row, column }) => {
    const value = shown && documentOf(shown);
    if (!shown || !value) return;
    const { map } = shown;
    const at = { layer: row + 1, buffer: column };
    const head = strongestHead(value.contribution.perHead, at, map.layers, map.heads);
    actions.select({ ...at, head: queryHead(head, map) });
  });
  const heads = createHeadMaps(actions);
  const choice = createRadios(
    'Map',
    [
      { value: 'layers', label: 'Layers' },
      { value: 'heads', label: 'Heads' },
    ],
    () => actions.redraw(),
  );
  const maps = element('div', {}, choice.element, figure.element, heads.element);

  const draw = (page: PageState): void => {
    shown = page;
    const { document, selection } = page.state;
    const value = documentOf(page);
    about.hidden = maps.hidden = !value;
    work.update(document);
    if (!value) return;
    setText(about, aboutText(value));
    figure.element.hidden = choice.value !== 'layers';
    heads.element.hidden = choice.value !== 'heads';
    if (choice.value === 'heads') {
      heads.update(page, pairOf(value), 'Share of |R V|');
      return;
    }
    const { matrix, initial } = matricesOf(page, value);
    figure.update({
      title: 'Share of mean |R V|',
      matrix,
      initial,
      subtract: page.subtract,
      root: page.root,
      selected: layerCell(selection.route, matrix),
      name: layerCellName(matrix),
    });
  };

  return {
    id: 'document',
    label: 'Document',
    ofDocument: true,
    element: element('section', {}, about, work.element, maps),
    update: draw,
    copies: page => {
      const value = documentOf(page);
      if (!value) return null;
      const isHeads = choice.value === 'heads';
      return {
        name: `document-${choice.value}`,
        figure: isHeads ? heads.element : figure.element,
        csv: () => {
          if (isHeads) return headCsv(page, pairOf(value));
          const { matrix, initial } = matricesOf(page, value);
          return csvText(['layer', 'buffer', 'share', 'initial'], csvLines(matrix, initial));
        },
      };
    },
  };
}

function documentOf({ state }: PageState): DocumentMap | undefined {
  return state.document.kind === 'ready' ? state.document.value : undefined;
}

function pairOf({ contribution, initial }: DocumentMap): RoutePair {
  return { map: contribution, initial };
}

function matricesOf({ map }: PageState, { contribution, initial }: DocumentMap) {
  return {
    matrix: layerMatrix(contribution.map, map),
    initial: layerMatrix(initial.map, map),
  };
}

function aboutText({ fileName, tokens, isPart, convention }: DocumentMap): string {
  const run = `${formatCount(tokens)} ${tokens === 1 ? 'token' : 'tokens'}`;
  const part = isPart ? `${run} around what is visible, of a longer document` : run;
  return `${fileName}: ${part}. By contribution: the mean |R V| of each buffer, as a share of the row. ${convention}`;
}
