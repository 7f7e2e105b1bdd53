import { svgElement } from '../../shared/dom.ts';
import type { Matrix } from './matrix.ts';
import { along, formatTick, ticksOf, type Scale } from './scale.ts';
import { setTone, textMark } from './tone.ts';

/** Where a heat map's parts lie, in pixels. */
export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly top: number;
  readonly cellWidth: number;
  readonly cellHeight: number;
  readonly plotWidth: number;
  readonly plotHeight: number;
}

const margin = { left: 44, top: 22, right: 66, bottom: 38 };
const largestCell = 44;
/** Pixels that a map is given however low the window is. */
const leastHeight = 260;
const barWidth = 10;
const barSlices = 48;
/** Pixels that a tick's number takes. */
const tickWidth = 20;
const tickHeight = 13;

/** Square cells as large as there is room for; rows of heads are given some height. */
export function frameOf(
  { rows, columns, rowName }: Matrix,
  { width, height: most }: { readonly width: number; readonly height: number },
): Frame {
  const room = Math.max(40, width - margin.left - margin.right);
  const tallest = Math.max(leastHeight, most) / Math.max(1, rows.length);
  const cellWidth = Math.min(largestCell, tallest, room / Math.max(1, columns));
  const least = rowName === 'head' ? Math.min(26, 220 / Math.max(1, rows.length)) : 0;
  const cellHeight = Math.max(cellWidth, least);
  const plotWidth = cellWidth * columns;
  const plotHeight = cellHeight * rows.length;
  return {
    width: margin.left + plotWidth + margin.right,
    height: margin.top + Math.max(plotHeight, 72) + margin.bottom,
    left: margin.left,
    top: margin.top,
    cellWidth,
    cellHeight,
    plotWidth,
    plotHeight,
  };
}

/** Numbers of rows and columns, as many as fit, and what they count. */
export function columnTicks(frame: Frame, { rows, columns, rowName }: Matrix): SVGElement[] {
  const { left, top, cellWidth, cellHeight, plotWidth, plotHeight } = frame;
  const bottom = top + plotHeight;
  const across = spacing(tickWidth / cellWidth);
  const down = spacing(tickHeight / cellHeight);
  const marks: SVGElement[] = [];
  for (let column = 0; column < columns; column += across) {
    const x = left + (column + 0.5) * cellWidth;
    marks.push(textMark(`${column}`, { x, y: bottom + 14, class: 'tick', anchor: 'middle' }));
  }
  rows.forEach((number, row) => {
    if (number % down !== 0) return;
    const y = top + (row + 0.5) * cellHeight + 4;
    marks.push(textMark(`${number}`, { x: left - 6, y, class: 'tick', anchor: 'end' }));
  });
  const middle = top + plotHeight / 2;
  const side = textMark(rowName, { x: 12, y: middle, class: 'axis', anchor: 'middle' });
  side.setAttribute('transform', `rotate(-90 12 ${middle.toFixed(1)})`);
  const below = { x: left + plotWidth / 2, y: bottom + 31, class: 'axis' };
  return [...marks, side, textMark('buffer', { ...below, anchor: 'middle' })];
}

/** Every how many positions a tick fits. */
function spacing(least: number): number {
  return [1, 2, 5, 10, 20, 50].find(every => every >= least) ?? 100;
}

/** The colours with their numbers, largest on top. */
export function drawBar(frame: Frame, scale: Scale): SVGElement[] {
  const { left, top, plotWidth, plotHeight } = frame;
  const x = left + plotWidth + 12;
  const height = Math.max(72, plotHeight);
  const sliceHeight = height / barSlices;
  const slices = Array.from({ length: barSlices }, (_, i) => {
    const down = (i + 0.5) / barSlices;
    const slice = svgElement('rect', {
      class: 'tone',
      x: `${x}`,
      y: `${top + i * sliceHeight}`,
      width: `${barWidth}`,
      // Overlaps the next one: no seams between them.
      height: `${sliceHeight + (i < barSlices - 1 ? 0.5 : 0)}`,
    });
    setTone(slice, scale.max === 0 ? 0 : scale.signed ? 1 - 2 * down : 1 - down, scale.signed);
    return slice;
  });
  const ticks = ticksOf(scale);
  const labels = ticks.map(value => {
    const y = top + (1 - along(value, scale)) * height;
    return textMark(formatTick(value, scale), { x: x + barWidth + 5, y: y + 4, class: 'tick' });
  });
  const edge = { x: `${x}`, y: `${top}`, width: `${barWidth}`, height: `${height}` };
  return [...slices, svgElement('rect', { class: 'barEdge', ...edge }), ...labels];
}

/** The lines between cells. */
export function latticePath(frame: Frame, reach: readonly number[]): string {
  const { left, top, cellWidth, cellHeight } = frame;
  const lines: string[] = [];
  const widest = Math.max(0, ...reach);
  reach.forEach((count, row) => {
    if (row === 0) return;
    const y = top + row * cellHeight;
    lines.push(`M${left} ${y}H${left + Math.min(count, reach[row - 1] ?? count) * cellWidth}`);
  });
  for (let column = 1; column < widest; column++) {
    const x = left + column * cellWidth;
    const first = reach.findIndex(count => count > column);
    const last = reach.length - 1;
    if (first >= 0)
      lines.push(`M${x} ${top + first * cellHeight}V${top + (last + 1) * cellHeight}`);
  }
  return lines.join('');
}

/** The stairs around the cells. */
export function outlinePath(frame: Frame, reach: readonly number[]): string {
  const { left, top, cellWidth, cellHeight } = frame;
  const stairs = reach.map(
    (count, row) => `H${left + count * cellWidth}V${top + (row + 1) * cellHeight}`,
  );
  return `M${left} ${top}${stairs.join('')}H${left}Z`;
}
