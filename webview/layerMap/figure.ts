import { element } from '../shared/dom.ts';
import { createHeatMap, type Cell, type HeatMap } from './heatMap.ts';
import { difference, valueAt, type Matrix } from './matrix.ts';
import { formatDifference, formatShare, scaleOf } from './scale.ts';

/** A map beside the one at initialisation. */
export interface FigureData {
  readonly title: string;
  readonly matrix: Matrix;
  readonly initial: Matrix;
  /** Shows the map less the initial one. */
  readonly subtract: boolean;
  readonly root: boolean;
  readonly selected: Cell | undefined;
  /** What a cell stands for: "Layer 5 reads buffer 2". */
  readonly name: (cell: Cell) => string;
}

export interface Figure {
  readonly element: HTMLElement;
  update(data: FigureData): void;
}

/** Two heat maps that are read together; `say` is told the exact numbers of the cell that is read. */
export function createFigure(
  say: (sentence: string) => void,
  select: (cell: Cell) => void,
): Figure {
  let data: FigureData | undefined;
  const maps: HeatMap[] = [];
  const read = (cell: Cell | undefined): void => {
    for (const map of maps) map.mark(cell);
    const shown = cell ?? data?.selected;
    say(data && shown ? describe(data, shown) : '');
  };
  const map = createHeatMap({ read, select });
  const initial = createHeatMap({ read, select });
  maps.push(map, initial);
  map.element.classList.add('principal');
  return {
    element: element(
      'div',
      { class: 'figure' },
      element('div', { class: 'maps' }, map.element, initial.element),
    ),
    update: next => {
      data = next;
      const { subtract, selected } = next;
      const told = (cell: Cell): string => describe(next, cell);
      const shown = subtract ? difference(next.matrix, next.initial) : next.matrix;
      const plain = scaleOf(subtract ? [next.initial] : [next.matrix, next.initial], next);
      map.update({
        title: subtract ? `${next.title}, less initial` : next.title,
        matrix: shown,
        scale: subtract ? scaleOf([shown], next, true) : plain,
        selected,
        describe: told,
      });
      initial.update({
        title: 'At initialisation',
        matrix: next.initial,
        scale: plain,
        selected,
        describe: told,
      });
      read(undefined);
    },
  };
}

function describe({ name, matrix, initial }: FigureData, cell: Cell): string {
  const value = valueAt(matrix, cell.row, cell.column);
  const before = valueAt(initial, cell.row, cell.column);
  const change = formatDifference(value - before);
  return `${name(cell)}: ${formatShare(value)} (initially ${formatShare(before)}, ${change})`;
}
