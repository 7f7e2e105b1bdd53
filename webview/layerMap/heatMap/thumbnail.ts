import { element, svgElement } from '../../shared/dom.ts';
import { valueAt, type Matrix } from './matrix.ts';
import { place, type Scale } from './scale.ts';
import { setTone, textMark } from './tone.ts';

/** One of many small maps: head by buffer of a layer, a button that shows it large. */
export interface Thumbnail {
  readonly element: HTMLElement;
  update(matrix: Matrix, scale: Scale, shown: boolean): void;
}

const width = 132;
const top = 16;

export function createThumbnail(layer: number, onShow: () => void): Thumbnail {
  const cells = svgElement('g');
  const outline = svgElement('rect', { class: 'outline' });
  const words = svgElement('g');
  const svg = svgElement(
    'svg',
    { 'aria-hidden': 'true', width: `${width}` },
    cells,
    outline,
    words,
  );
  const button = element('button', {
    class: 'thumbnailButton',
    attributes: { type: 'button', 'aria-label': `Layer ${layer}` },
  });
  button.addEventListener('click', onShow);
  // The button lies over the drawing: its name is the layer, not every number in it.
  const whole = element('div', { class: 'thumbnail' }, button);
  whole.prepend(svg);
  return {
    element: whole,
    update: (matrix, scale, shown) => {
      button.setAttribute('aria-pressed', shown ? 'true' : 'false');
      const cellWidth = (width - 2) / matrix.columns;
      const cellHeight = Math.max(3, Math.min(14, 96 / matrix.rows.length));
      const height = cellHeight * matrix.rows.length;
      svg.setAttribute('height', `${top + height + 16}`);
      cells.replaceChildren(
        ...matrix.reach.flatMap((count, row) =>
          Array.from({ length: count }, (_, column) => {
            const rect = box(1 + column * cellWidth, top + row * cellHeight, cellWidth, cellHeight);
            rect.setAttribute('class', 'tone');
            setTone(rect, place(valueAt(matrix, row, column), scale), scale.signed);
            return rect;
          }),
        ),
      );
      const reach = Math.max(0, ...matrix.reach);
      for (const [name, value] of Object.entries({
        x: 1,
        y: top,
        width: reach * cellWidth,
        height,
      }))
        outline.setAttribute(name, `${value}`);
      const y = top + height + 11;
      words.replaceChildren(
        textMark(`Layer ${layer}`, { x: 1, y: 10, class: 'mapTitle' }),
        ...(reach * cellWidth < 28
          ? []
          : [textMark('0', { x: 1 + cellWidth / 2, y, class: 'tick', anchor: 'middle' })]),
        textMark(`${reach - 1}`, {
          x: 1 + (reach - 0.5) * cellWidth,
          y,
          class: 'tick',
          anchor: 'middle',
        }),
      );
    },
  };
}

function box(x: number, y: number, width: number, height: number): SVGRectElement {
  return svgElement('rect', {
    x: x.toFixed(2),
    y: y.toFixed(2),
    width: width.toFixed(2),
    height: height.toFixed(2),
  });
}
