/** A shape of a figure in pixels from its corner, with the colours of the present theme. */
export type Shape =
  | {
      readonly kind: 'rect';
      readonly x: number;
      readonly y: number;
      readonly width: number;
      readonly height: number;
      readonly fill: string;
      readonly stroke: string;
      readonly strokeWidth: number;
    }
  | {
      readonly kind: 'path';
      readonly d: string;
      readonly x: number;
      readonly y: number;
      readonly stroke: string;
      readonly strokeWidth: number;
    }
  | {
      readonly kind: 'text';
      readonly text: string;
      readonly x: number;
      readonly y: number;
      readonly anchor: 'start' | 'middle' | 'end';
      readonly turned: boolean;
      readonly size: number;
      readonly weight: string;
      readonly family: string;
      readonly fill: string;
    };

export interface Scene {
  readonly width: number;
  readonly height: number;
  readonly background: string;
  readonly shapes: readonly Shape[];
}

const padding = 12;

/** Everything that the figure's visible drawings show, as it looks now. */
export function readScene(figure: HTMLElement): Scene {
  const colours = createColours();
  const drawings = [...figure.querySelectorAll<SVGSVGElement>('svg:not(.icon)')].filter(
    svg => svg.getBoundingClientRect().width > 0,
  );
  const boxes = drawings.map(svg => svg.getBoundingClientRect());
  const left = Math.min(...boxes.map(box => box.left)) - padding;
  const top = Math.min(...boxes.map(box => box.top)) - padding;
  const shapes = drawings.flatMap(svg => shapesOf(svg, left, top, colours));
  return {
    width: Math.ceil(Math.max(...boxes.map(box => box.right)) - left + padding),
    height: Math.ceil(Math.max(...boxes.map(box => box.bottom)) - top + padding),
    background: colours(getComputedStyle(document.body).backgroundColor),
    shapes,
  };
}

function shapesOf(
  svg: SVGSVGElement,
  left: number,
  top: number,
  colours: (css: string) => string,
): Shape[] {
  const corner = svg.getBoundingClientRect();
  const [dx, dy] = [corner.left - left, corner.top - top];
  const marks = [...svg.querySelectorAll<SVGGraphicsElement>('rect, path, text')];
  return marks.flatMap((mark): Shape[] => {
    const style = getComputedStyle(mark);
    const isReading = mark.classList.contains('reading') || mark.classList.contains('chosen');
    if (style.display === 'none' || isReading) return [];
    const stroke = colours(style.stroke);
    const strokeWidth = parseFloat(style.strokeWidth) || 0;
    if (mark instanceof SVGRectElement) {
      const box = mark.getBoundingClientRect();
      const [x, y] = [box.left - left, box.top - top];
      const fill = colours(style.fill);
      return [
        { kind: 'rect', x, y, width: box.width, height: box.height, fill, stroke, strokeWidth },
      ];
    }
    if (mark instanceof SVGPathElement) {
      const d = mark.getAttribute('d') ?? '';
      return [{ kind: 'path', d, x: dx, y: dy, stroke, strokeWidth }];
    }
    const at = (name: string): number => Number(mark.getAttribute(name));
    return [
      {
        kind: 'text',
        text: mark.textContent,
        x: at('x') + dx,
        y: at('y') + dy,
        anchor: anchorOf(mark.getAttribute('text-anchor')),
        turned: mark.hasAttribute('transform'),
        size: parseFloat(style.fontSize),
        weight: style.fontWeight,
        family: style.fontFamily,
        fill: colours(style.fill),
      },
    ];
  });
}

function anchorOf(value: string | null): 'start' | 'middle' | 'end' {
  return value === 'middle' || value === 'end' ? value : 'start';
}

/** Colours of any CSS notation as plain ones that every program knows; 'none' where nothing is drawn. */
function createColours(): (css: string) => string {
  const known = new Map<string, string>();
  const canvas = new OffscreenCanvas(1, 1);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  return css => {
    if (css === 'none' || css === '' || !context) return 'none';
    const found = known.get(css);
    if (found !== undefined) return found;
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = css;
    context.fillRect(0, 0, 1, 1);
    const { data } = context.getImageData(0, 0, 1, 1);
    const plain = data[3] === 0 ? 'none' : hexOf(data);
    known.set(css, plain);
    return plain;
  };
}

function hexOf(data: Uint8ClampedArray): string {
  const digits = [...data].map(part => part.toString(16).padStart(2, '0'));
  // Opacity only where there is some: not every program reads it.
  return `#${digits.slice(0, data[3] === 255 ? 3 : 4).join('')}`;
}
