import { Labels } from './plotLabels.ts';

/** A mean, and the lowest and highest of the seeds where there are several. */
export interface Point {
  readonly x: number;
  readonly y: number;
  readonly low?: number;
  readonly high?: number;
}

export interface Series {
  /** Written beside its last point; '' writes nothing. */
  readonly label: string;
  readonly colour: string;
  /** By ascending x. */
  readonly points: readonly Point[];
  /** Of the line through the points; none: dots alone. */
  readonly line?: 'solid' | 'dashed' | 'none';
  /** In pixels, 1.5 where not given. */
  readonly width?: number;
  /** Where the line has a dot and the bar of its spread; everywhere where not given. */
  readonly dotsAt?: readonly number[];
}

export interface Axis {
  readonly label: string;
  readonly scale?: 'linear' | 'log2';
  readonly ticks: readonly number[];
  /** What lies outside is not drawn. */
  readonly range: readonly [number, number];
}

/** One coordinate system. */
export interface Panel {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

const size = { width: 620, height: 420 };
const margin = { left: 58, right: 148, top: 40, bottom: 46 };
// A ground of its own, so that the text can be read whatever the page's is.
const colours = { ground: '#fafaf7', text: '#26282b', grid: '#dedfdc', axis: '#8a8d91' };

/** The panels side by side as an SVG document, with labels at the curves instead of a legend. */
export function plot(panels: readonly Panel[], description: string): string {
  const width = size.width * panels.length;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${size.height}" width="${width}" height="${size.height}" role="img" font-family="system-ui, sans-serif" font-size="12" fill="${colours.text}">`,
    `<title>${escape(description)}</title>`,
    `<rect width="100%" height="100%" rx="6" fill="${colours.ground}"/>`,
    ...panels.map((panel, i) => drawPanel(panel, i)),
    '</svg>',
    '',
  ].join('\n');
}

/** The ticks from `low` to `high`, `step` apart. */
export function evenTicks(low: number, high: number, step: number): number[] {
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) =>
    Number(((first + i) * step).toFixed(6)),
  );
}

function drawPanel({ title, x, y, series }: Panel, index: number): string {
  const area = {
    left: margin.left,
    right: size.width - margin.right,
    top: margin.top,
    bottom: size.height - margin.bottom,
  };
  const toX = scale(x, area.left, area.right);
  const toY = scale(y, area.bottom, area.top);
  const labels = new Labels({ x: area.right + 10, top: area.top, bottom: area.bottom });
  const inside = ({ x: at, y: value }: Point): boolean =>
    at >= x.range[0] && at <= x.range[1] && value >= y.range[0] && value <= y.range[1];
  for (const { label, colour, points } of series) {
    const last = points.filter(inside).at(-1);
    if (last && label !== '') labels.add(escape(label), colour, toX(last.x), toY(last.y));
  }
  // As many digits as the tick that needs most.
  const digits = Math.max(...y.ticks.map(tick => String(tick).split('.')[1]?.length ?? 0));
  const [middleX, middleY] = [(area.left + area.right) / 2, (area.top + area.bottom) / 2];
  return [
    `<g transform="translate(${size.width * index} 0)">`,
    `<clipPath id="area${index}"><rect x="${area.left - 5}" y="${area.top}" width="${area.right - area.left + 10}" height="${area.bottom - area.top}"/></clipPath>`,
    text(area.left, 22, title, 'font-size="14" font-weight="600"'),
    ...y.ticks.flatMap(tick => [
      `<line x1="${area.left}" x2="${area.right}" y1="${round(toY(tick))}" y2="${round(toY(tick))}" stroke="${colours.grid}"/>`,
      text(area.left - 8, toY(tick) + 4, tick.toFixed(digits), 'text-anchor="end"'),
    ]),
    ...x.ticks.flatMap(tick => [
      `<line x1="${round(toX(tick))}" x2="${round(toX(tick))}" y1="${area.bottom}" y2="${area.bottom + 4}" stroke="${colours.axis}"/>`,
      text(toX(tick), area.bottom + 18, String(tick), 'text-anchor="middle"'),
    ]),
    `<line x1="${area.left}" x2="${area.right}" y1="${area.bottom}" y2="${area.bottom}" stroke="${colours.axis}"/>`,
    text(middleX, size.height - 10, x.label, 'text-anchor="middle"'),
    text(16, middleY, y.label, `text-anchor="middle" transform="rotate(-90 16 ${round(middleY)})"`),
    `<g clip-path="url(#area${index})">`,
    ...series.map(one => drawSeries(one, toX, toY)),
    '</g>',
    labels.draw(),
    '</g>',
  ].join('\n');
}

function drawSeries(
  { colour, points, line = 'solid', width = 1.5, dotsAt }: Series,
  toX: (x: number) => number,
  toY: (y: number) => number,
): string {
  const at = ({ x, y }: Point): string => `${round(toX(x))},${round(toY(y))}`;
  const dash = line === 'dashed' ? ' stroke-dasharray="5 4"' : '';
  const path = `<polyline points="${points.map(at).join(' ')}" fill="none" stroke="${colour}" stroke-width="${width}"${dash}/>`;
  const dots = points
    .filter(({ x }) => dotsAt?.includes(x) ?? true)
    .flatMap(point => {
      const [cx, cy] = at(point).split(',');
      const { low = point.y, high = point.y } = point;
      const bar = `<line x1="${cx}" x2="${cx}" y1="${round(toY(low))}" y2="${round(toY(high))}" stroke="${colour}" stroke-width="1.5"/>`;
      return [bar, `<circle cx="${cx}" cy="${cy}" r="${2 + width / 2}" fill="${colour}"/>`];
    });
  return [...(line === 'none' ? [] : [path]), ...dots].join('\n');
}

function scale({ scale: kind, range }: Axis, from: number, to: number): (value: number) => number {
  const measure = kind === 'log2' ? Math.log2 : (value: number) => value;
  const [low, high] = range.map(measure) as [number, number];
  return value => from + ((measure(value) - low) / (high - low)) * (to - from);
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escape(content)}</text>`;
}

function round(value: number): number {
  return Number(value.toFixed(1));
}

function escape(content: string): string {
  return content.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
