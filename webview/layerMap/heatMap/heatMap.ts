import { element, svgElement } from '../../shared/dom.ts';
import { columnTicks, drawBar, frameOf, latticePath, outlinePath, type Frame } from './frame.ts';
import { valueAt, type Matrix } from './matrix.ts';
import { formatCell, place, type Scale } from './scale.ts';
import { setTone, textMark } from './tone.ts';

/** A cell by the indices of its row and column. */
export interface Cell {
  readonly row: number;
  readonly column: number;
}

/** What a heat map shows. */
export interface HeatMapData {
  readonly title: string;
  readonly matrix: Matrix;
  readonly scale: Scale;
  readonly selected: Cell | undefined;
  /** The value of a cell as a sentence. */
  readonly describe: (cell: Cell) => string;
}

/** A grid of cells that is read with the pointer or the arrow keys and selected from with a click or Enter. */
export interface HeatMap {
  readonly element: HTMLElement;
  update(data: HeatMapData): void;
  /** Marks the cell that is being read here or in a map beside it. */
  mark(cell: Cell | undefined): void;
}

export interface HeatMapListener {
  readonly read: (cell: Cell | undefined) => void;
  readonly select: (cell: Cell) => void;
}

/** Pixels of the window's height that a map leaves to what is above and below it. */
const besidesMap = 370;

export function createHeatMap(listener: HeatMapListener): HeatMap {
  const grid = svgElement('g', { role: 'grid' });
  const lattice = svgElement('path', { class: 'lattice', 'aria-hidden': 'true' });
  const outline = svgElement('path', { class: 'outline', 'aria-hidden': 'true' });
  const words = svgElement('g', { 'aria-hidden': 'true' });
  const bar = svgElement('g', { class: 'bar', 'aria-hidden': 'true' });
  const chosen = svgElement('rect', { class: 'chosen', 'aria-hidden': 'true' });
  const cursor = svgElement('rect', { class: 'reading', 'aria-hidden': 'true' });
  const svg = svgElement('svg', {}, grid, lattice, outline, words, bar, chosen, cursor);
  const wrapper = element('div', { class: 'heatMap' });
  wrapper.append(svg);
  let data: HeatMapData | undefined;
  let cells: SVGRectElement[][] = [];
  let frame: Frame | undefined;
  let shape = '';
  let focus: Cell = { row: 0, column: 0 };

  const build = ({ rows, reach, columns }: Matrix): void => {
    const next = JSON.stringify([rows, reach, columns]);
    if (next === shape) return;
    shape = next;
    cells = reach.map(count =>
      Array.from({ length: count }, () =>
        svgElement('rect', { class: 'tone', role: 'gridcell', tabindex: '-1' }),
      ),
    );
    grid.replaceChildren(...cells.map(row => svgElement('g', { role: 'row' }, ...row)));
    focus = { row: 0, column: 0 };
    at(focus)?.setAttribute('tabindex', '0');
  };
  const at = ({ row, column }: Cell): SVGRectElement | undefined => cells[row]?.[column];

  const paint = ({ matrix, scale, selected, describe, title }: HeatMapData): void => {
    grid.setAttribute('aria-label', title);
    cells.forEach((row, r) =>
      row.forEach((rect, column) => {
        const cell = { row: r, column };
        setTone(rect, place(valueAt(matrix, r, column), scale), scale.signed);
        rect.setAttribute('aria-label', describe(cell));
        const isSelected = selected?.row === r && selected.column === column;
        rect.setAttribute('aria-selected', isSelected ? 'true' : 'false');
      }),
    );
  };

  const layOut = (): void => {
    if (!data || wrapper.clientWidth === 0) return;
    const { matrix, scale, title } = data;
    const laid = (frame = frameOf(matrix, {
      width: wrapper.clientWidth,
      height: window.innerHeight - besidesMap,
    }));
    svg.setAttribute('width', `${laid.width}`);
    svg.setAttribute('height', `${laid.height}`);
    cells.forEach((row, r) =>
      row.forEach((rect, column) => setBox(rect, laid, { row: r, column })),
    );
    lattice.setAttribute('d', latticePath(laid, matrix.reach));
    outline.setAttribute('d', outlinePath(laid, matrix.reach));
    words.replaceChildren(
      textMark(title, { x: laid.left, y: 12, class: 'mapTitle' }),
      ...columnTicks(laid, matrix),
      ...(laid.cellWidth >= 28 && laid.cellHeight >= 18 ? numbers(data, laid) : []),
    );
    bar.replaceChildren(...drawBar(laid, scale));
    setMark(chosen, data.selected);
  };

  const setMark = (rect: SVGRectElement, cell: Cell | undefined): void => {
    const box = cell && at(cell) && frame && { cell, frame };
    rect.toggleAttribute('hidden', !box);
    if (box) setBox(rect, box.frame, box.cell);
  };

  const cellUnder = (event: MouseEvent): Cell | undefined => {
    if (!frame) return undefined;
    const box = svg.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left - frame.left) / frame.cellWidth);
    const row = Math.floor((event.clientY - box.top - frame.top) / frame.cellHeight);
    return at({ row, column }) ? { row, column } : undefined;
  };

  const moveFocus = (to: Cell): void => {
    at(focus)?.setAttribute('tabindex', '-1');
    focus = to;
    const rect = at(to);
    rect?.setAttribute('tabindex', '0');
    rect?.focus({ preventScroll: false });
  };

  svg.addEventListener('pointermove', event => listener.read(cellUnder(event)));
  svg.addEventListener('pointerleave', () => listener.read(undefined));
  svg.addEventListener('click', event => {
    const cell = cellUnder(event);
    if (!cell) return;
    moveFocus(cell);
    listener.select(cell);
  });
  grid.addEventListener('focusin', event => {
    const found = cellOf(cells, event.target);
    if (found) listener.read((focus = found));
  });
  grid.addEventListener('focusout', () => listener.read(undefined));
  grid.addEventListener('keydown', event => {
    if (event.altKey || event.metaKey) return;
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      listener.select(focus);
      return;
    }
    const next = step(event.key, event.ctrlKey, focus, cells);
    if (!next) return;
    event.preventDefault();
    event.stopPropagation();
    moveFocus(next);
  });
  new ResizeObserver(layOut).observe(wrapper);
  window.addEventListener('resize', layOut);

  return {
    element: wrapper,
    update: next => {
      data = next;
      build(next.matrix);
      paint(next);
      layOut();
    },
    mark: cell => setMark(cursor, cell),
  };
}

/** Where a key leads; Control with Home or End: the first or the last row's end. */
function step(
  key: string,
  far: boolean,
  { row, column }: Cell,
  cells: readonly (readonly unknown[])[],
): Cell | undefined {
  const within = (to: Cell): Cell => {
    const line = Math.max(0, Math.min(cells.length - 1, to.row));
    const last = (cells[line]?.length ?? 1) - 1;
    return { row: line, column: Math.max(0, Math.min(last, to.column)) };
  };
  const end = Number.MAX_SAFE_INTEGER;
  const moves: Partial<Record<string, Cell>> = {
    ArrowLeft: { row, column: column - 1 },
    ArrowRight: { row, column: column + 1 },
    ArrowUp: { row: row - 1, column },
    ArrowDown: { row: row + 1, column },
    Home: { row: far ? 0 : row, column: 0 },
    End: { row: far ? end : row, column: end },
    PageUp: { row: 0, column },
    PageDown: { row: end, column },
  };
  const to = moves[key];
  return to && within(to);
}

function cellOf(
  cells: readonly (readonly SVGRectElement[])[],
  target: EventTarget | null,
): Cell | undefined {
  for (const [row, line] of cells.entries()) {
    const column = line.findIndex(rect => rect === target);
    if (column >= 0) return { row, column };
  }
  return undefined;
}

function setBox(rect: SVGRectElement, frame: Frame, { row, column }: Cell): void {
  rect.setAttribute('x', `${frame.left + column * frame.cellWidth}`);
  rect.setAttribute('y', `${frame.top + row * frame.cellHeight}`);
  rect.setAttribute('width', `${frame.cellWidth}`);
  rect.setAttribute('height', `${frame.cellHeight}`);
}

/** The value written into each cell. */
function numbers({ matrix, scale }: HeatMapData, frame: Frame): SVGElement[] {
  return matrix.reach.flatMap((count, row) =>
    Array.from({ length: count }, (_, column) => {
      const value = valueAt(matrix, row, column);
      const mark = textMark(formatCell(value), {
        x: frame.left + (column + 0.5) * frame.cellWidth,
        y: frame.top + (row + 0.5) * frame.cellHeight + 4,
        class: 'cellNumber tone',
        anchor: 'middle',
      });
      setTone(mark, place(value, scale), scale.signed);
      return mark;
    }),
  );
}
