import { element, svgElement } from '../../shared/dom.ts';
import { along, formatTick, ticksOf, type Scale } from './scale.ts';
import { setTone, textMark } from './tone.ts';

/** The colours of many small maps in one row, with their numbers. */
export interface Legend {
  readonly element: HTMLElement;
  update(scale: Scale): void;
}

const [width, height, side] = [200, 10, 18];
const slices = 50;

export function createLegend(): Legend {
  const svg = svgElement('svg', {
    'aria-hidden': 'true',
    width: `${width + 2 * side}`,
    height: '28',
    class: 'legend',
  });
  const wrapper = element('div');
  wrapper.append(svg);
  return {
    element: wrapper,
    update: scale => {
      const parts = Array.from({ length: slices }, (_, i) => {
        const part = (i + 0.5) / slices;
        const slice = svgElement('rect', {
          class: 'tone',
          x: `${side + (i * width) / slices}`,
          y: '1',
          width: `${width / slices + (i < slices - 1 ? 0.5 : 0)}`,
          height: `${height}`,
        });
        const tone = scale.signed ? 2 * part - 1 : part;
        setTone(slice, scale.max === 0 ? 0 : tone, scale.signed);
        return slice;
      });
      const ticks = ticksOf(scale);
      const labels = ticks.map(value => {
        const x = side + along(value, scale) * width;
        const text = formatTick(value, scale);
        return textMark(text, { x, y: height + 14, class: 'tick', anchor: 'middle' });
      });
      const edge = { x: `${side}`, y: '1', width: `${width}`, height: `${height}` };
      svg.replaceChildren(...parts, svgElement('rect', { class: 'barEdge', ...edge }), ...labels);
    },
  };
}
