import { formatDecimal } from '../../src/common/numbers.ts';
import { element, svgElement } from '../shared/dom.ts';

/** A line by layer; `kind` names its colour and dashes in collapse.css. */
export interface LayerSeries {
  readonly name: string;
  readonly kind: string;
  /** By layer; NaN where there is none (L). */
  readonly values: readonly number[];
  readonly deviations: readonly number[];
}

export interface LayerChartOptions {
  readonly title: string;
  readonly series: readonly LayerSeries[];
  /** The scale's end, where the values have one. */
  readonly most?: number;
  /** A level to see the values against. */
  readonly chance?: number | null;
}

const [width, height] = [460, 220];
const inner = { left: 40, right: 450, top: 10, bottom: 194 };

/** Lines by layer with their exact numbers under the pointer; the page has a table of the same. */
export function layerChart({ title, series, most, chance = null }: LayerChartOptions): HTMLElement {
  const layers = Math.max(2, ...series.map(({ values }) => values.length));
  const known = series.flatMap(({ values }) => values.filter(Number.isFinite));
  const [low, high] = rangeOf(known, most);
  const x = (layer: number): number =>
    inner.left + (layer * (inner.right - inner.left)) / (layers - 1);
  const y = (value: number): number =>
    inner.bottom - ((value - low) * (inner.bottom - inner.top)) / (high - low);
  const svg = svgElement('svg', {
    viewBox: `0 0 ${width} ${height}`,
    role: 'img',
    'aria-label': `${title}: ${series.map(spoken).join('; ')}. The numbers are in the table.`,
  });
  for (const value of [low, (low + high) / 2, high]) {
    svg.append(
      svgElement('line', {
        class: 'grid',
        x1: `${inner.left}`,
        x2: `${inner.right}`,
        y1: `${y(value)}`,
        y2: `${y(value)}`,
      }),
      label(inner.left - 6, y(value) + 4, formatDecimal(value, 2), 'end'),
    );
  }
  for (const layer of ticks(layers)) svg.append(label(x(layer), height - 8, `${layer}`, 'middle'));
  if (chance !== null && chance >= low && chance <= high) {
    svg.append(
      svgElement('line', {
        class: 'chance',
        x1: `${inner.left}`,
        x2: `${inner.right}`,
        y1: `${y(chance)}`,
        y2: `${y(chance)}`,
      }),
    );
  }
  for (const { name, kind, values, deviations } of series) {
    const points = values.flatMap((value, layer) =>
      Number.isFinite(value) ? [{ layer, value, deviation: deviations[layer] ?? NaN }] : [],
    );
    const path = points.map(({ layer, value }) => `${x(layer).toFixed(1)} ${y(value).toFixed(1)}`);
    if (path.length > 0)
      svg.append(svgElement('path', { class: `line ${kind}`, d: `M${path.join('L')}` }));
    for (const { layer, value, deviation } of points) {
      const dot = svgElement('circle', {
        class: `dot ${kind}`,
        cx: `${x(layer)}`,
        cy: `${y(value)}`,
        r: '3',
      });
      const tip = svgElement('title');
      tip.textContent = `${name}, layer ${layer}: ${formatDecimal(value)} ± ${formatDecimal(deviation)}`;
      dot.append(tip);
      svg.append(dot);
    }
  }
  return element('figure', { class: 'layerChart' }, element('figcaption', {}, title), svg);
}

/** Round ends about the values, a least span between them. */
function rangeOf(values: readonly number[], most: number | undefined): [number, number] {
  if (values.length === 0) return [0, most ?? 1];
  const step = most === undefined ? 0.2 : 0.05;
  const low = Math.floor(Math.min(...values) / step) * step;
  const high = most ?? Math.ceil(Math.max(...values) / step) * step;
  return high - low >= step ? [low, high] : [low - step, high];
}

function ticks(layers: number): number[] {
  const step = Math.max(1, Math.ceil((layers - 1) / 10));
  return Array.from({ length: Math.ceil(layers / step) }, (_, i) => i * step);
}

function label(x: number, y: number, text: string, anchor: 'middle' | 'end'): SVGElement {
  const made = svgElement('text', { x: `${x}`, y: `${y}`, 'text-anchor': anchor });
  made.textContent = text;
  return made;
}

function spoken({ name, values }: LayerSeries): string {
  const [first, last] = [values[0] ?? NaN, values.at(-1) ?? NaN];
  return `${name} from ${formatDecimal(first)} to ${formatDecimal(last)}`;
}
