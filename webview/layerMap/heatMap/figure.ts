import { element } from '../../shared/dom.ts';
import { createHeatMap, type Cell, type HeatMap } from './heatMap.ts';
import { difference, valueAt, type Matrix } from './matrix.ts';
import { formatDifference, formatShare, scaleOf, type Scale } from './scale.ts';

/** A map and the one at initialisation. */
export interface Pair {
  readonly matrix: Matrix;
  readonly initial: Matrix;
}

/** A map beside the one at initialisation. */
export interface FigureData extends Pair {
  readonly title: string;
  /** Shows the map less the initial one. */
  readonly subtract: boolean;
  readonly root: boolean;
  /** Maps that are to have the same colours, this one among them; without: it alone. */
  readonly among?: readonly Pair[];
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
      const pairs = next.among ?? [next];
      const scale = shownScale(pairs, next);
      const initialScale = subtract
        ? scaleOf(
            pairs.map(pair => pair.initial),
            next,
          )
        : scale;
      map.update({
        title: subtract ? `${next.title}, less initial` : next.title,
        matrix: shown,
        scale,
        selected,
        describe: told,
      });
      initial.update({
        title: 'At initialisation',
        matrix: next.initial,
        scale: initialScale,
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

/** The scale of these maps, which the initial ones share where those are not subtracted. */
export function shownScale(
  pairs: readonly Pair[],
  { subtract, root }: { readonly subtract: boolean; readonly root: boolean },
): Scale {
  const shown = pairs.flatMap(({ matrix, initial }) =>
    subtract ? [difference(matrix, initial)] : [matrix, initial],
  );
  return scaleOf(shown, { root }, subtract);
}
