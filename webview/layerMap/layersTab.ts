import { element } from '../shared/dom.ts';
import { csvLines, csvText } from './heatMap/csv.ts';
import { createFigure } from './heatMap/figure.ts';
import { layerMatrix, strongestHead } from './heatMap/matrix.ts';
import {
  layerCell,
  layerCellName,
  queryHead,
  type PageActions,
  type PageState,
  type TabView,
} from './page.ts';

const title = 'Normalised mean |R|';

/** The paper's Fig. 5: how much each layer's router takes from each buffer. */
export function createLayersTab({ select, say }: PageActions): TabView {
  let shown: PageState | undefined;
  const figure = createFigure(say, ({ row, column }) => {
    if (!shown) return;
    const { map } = shown;
    const layer = row + 1;
    const { perHead } = map.routers;
    const head = strongestHead(perHead, { layer, buffer: column }, map.layers, map.heads);
    select({ layer, head: queryHead(head, map), buffer: column });
  });
  const matrices = ({ map }: PageState) => ({
    matrix: layerMatrix(map.routers.map, map),
    initial: layerMatrix(map.initial.map, map),
  });
  return {
    id: 'layers',
    label: 'Layers',
    ofDocument: false,
    element: element(
      'section',
      {},
      element(
        'p',
        { class: 'lead' },
        'How much each layer’s router takes from each buffer of keys and values: the mean |R| over heads, as a share of the row. Buffer 0 is made from the embeddings, buffer j from what enters layer j; layer 0 has only one.',
      ),
      figure.element,
    ),
    update: page => {
      shown = page;
      const both = matrices(page);
      figure.update({
        ...both,
        title,
        subtract: page.subtract,
        root: page.root,
        selected: layerCell(page.state.selection.route, both.matrix),
        name: layerCellName(both.matrix),
      });
    },
    copies: page => ({
      name: 'layers',
      figure: figure.element,
      csv: () => {
        const { matrix, initial } = matrices(page);
        return csvText(['layer', 'buffer', 'share', 'initial'], csvLines(matrix, initial));
      },
    }),
  };
}
