import { element, setText } from '../shared/dom.ts';
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
  readonly selected: Cell | undefined;
  /** What a cell stands for: "Layer 5 reads buffer 2". */
  readonly name: (cell: Cell) => string;
}

export interface Figure {
  readonly element: HTMLElement;
  update(data: FigureData): void;
}

/** Two heat maps that are read together, with the exact numbers in a line beneath them. */
export function createFigure(select: (cell: Cell) => void): Figure {
  const readout = element('output', { class: 'readout', attributes: { 'aria-live': 'polite' } });
  let data: FigureData | undefined;
  const maps: HeatMap[] = [];
  const read = (cell: Cell | undefined): void => {
    for (const map of maps) map.mark(cell);
    const shown = cell ?? data?.selected;
    setText(readout, data && shown ? describe(data, shown) : hint);
    readout.classList.toggle('dim', shown === undefined);
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
      readout,
    ),
    update: next => {
      data = next;
      const { subtract, selected } = next;
      const say = (cell: Cell): string => describe(next, cell);
      const shown = subtract ? difference(next.matrix, next.initial) : next.matrix;
      const plain = scaleOf(subtract ? [next.initial] : [next.matrix, next.initial]);
      map.update({
        title: subtract ? `${next.title}, less initial` : next.title,
        matrix: shown,
        scale: subtract ? scaleOf([shown], true) : plain,
        selected,
        describe: say,
      });
      initial.update({
        title: 'At initialisation',
        matrix: next.initial,
        scale: plain,
        selected,
        describe: say,
      });
      read(undefined);
    },
  };
}

const hint = 'Point at a cell, or move with the arrow keys; a click or Enter selects its route.';

function describe({ name, matrix, initial }: FigureData, cell: Cell): string {
  const value = valueAt(matrix, cell.row, cell.column);
  const before = valueAt(initial, cell.row, cell.column);
  const change = formatDifference(value - before);
  return `${name(cell)}: ${formatShare(value)} (initially ${formatShare(before)}, ${change})`;
}
