import { element, setText, setVariable, svgElement } from './dom.ts';
import { attachCursor } from './plotCursor.ts';

/** A curve over k = 1..n with an area beneath it, a second one to compare with, and values under the cursor. */
export interface LineChart {
  readonly element: HTMLElement;
  /** `values[i]` is the value at k = i + 1; gaps where NaN. `other` is drawn dashed, under its own name. */
  update(values: ArrayLike<number>, k: number, other?: Series | null): void;
}

/** A curve that another is compared with. */
export interface Series {
  readonly name: string;
  readonly values: ArrayLike<number>;
}

interface Scale {
  readonly low: number;
  readonly high: number;
}

export function createLineChart(title: string, format: (value: number) => string): LineChart {
  const line = svgElement('path', { class: 'line' });
  const area = svgElement('path', { class: 'area' });
  const otherLine = svgElement('path', { class: 'otherLine' });
  const svg = svgElement(
    'svg',
    { viewBox: '0 0 100 100', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    area,
    otherLine,
    line,
  );
  const marker = element('div', { class: 'plotMarker' });
  const cursor = element('div', { class: 'plotCursor', attributes: { hidden: '' } });
  const plot = element(
    'div',
    { class: 'plotArea', attributes: { role: 'img' } },
    svg,
    cursor,
    marker,
  );
  const readout = element('output', { class: 'plotReadout', attributes: { 'aria-live': 'off' } });
  const top = element('span', { class: 'plotTop' });
  const bottom = element('span', { class: 'plotBottom' });
  const key = element('span', { class: 'plotKey' });
  const head = element('div', { class: 'plotHead' }, element('span', {}, title), key, readout);
  const frame = element('div', { class: 'plotFrame' }, top, bottom, plot);
  let values: ArrayLike<number> = [];
  let other: Series | null = null;
  let k = 1;
  const describe = (i: number): string => {
    const value = `k = ${i + 1}: ${format(values[i] ?? NaN)}`;
    return other ? `${value}, ${other.name} ${format(other.values[i] ?? NaN)}` : value;
  };
  const place = (target: HTMLElement, i: number): void => {
    const value = values[i] ?? NaN;
    const scale = scaleOf(values, other?.values);
    target.hidden = Number.isNaN(value);
    setVariable(target, '--x', `${across(i, values.length)}%`);
    setVariable(target, '--y', `${100 - down(value, scale)}%`);
  };
  const show = (i: number | undefined): void => {
    setText(readout, describe(i ?? k - 1));
    if (i === undefined) cursor.hidden = true;
    else place(cursor, i);
  };
  attachCursor({
    element: plot,
    count: () => values.length,
    at: fraction => Math.round(fraction * (values.length - 1)),
    start: () => k - 1,
    show,
    describe,
  });
  return {
    element: element('div', { class: 'plot' }, head, frame),
    update: (next, presentK, compared = null) => {
      values = next;
      k = presentK;
      other = compared;
      const scale = scaleOf(values, other?.values);
      const path = pathOf(values, scale);
      line.setAttribute('d', path.line);
      area.setAttribute('d', path.area);
      otherLine.setAttribute('d', other ? pathOf(other.values, scale).line : '');
      setText(key, other?.name ?? '');
      key.hidden = other === null;
      setText(top, scale.high.toString());
      setText(bottom, scale.low.toFixed(scale.low === 0 ? 0 : 1));
      place(marker, k - 1);
      if (cursor.hidden) show(undefined);
      const [first, last] = [describe(0), describe(values.length - 1)];
      plot.setAttribute('aria-label', `${title}. ${first}; ${last}; now ${describe(k - 1)}`);
    },
  };
}

/** From 0 to 1, and down to -1 at most where values are negative. */
function scaleOf(values: ArrayLike<number>, others: ArrayLike<number> = []): Scale {
  let low = 0;
  for (const value of [...Array.from(values), ...Array.from(others)]) if (value < low) low = value;
  return { low: Math.max(-1, low), high: 1 };
}

function across(i: number, count: number): number {
  return count > 1 ? (100 * i) / (count - 1) : 50;
}

function down(value: number, { low, high }: Scale): number {
  return (100 * (high - Math.max(low, Math.min(high, value)))) / (high - low);
}

function pathOf(values: ArrayLike<number>, scale: Scale): { line: string; area: string } {
  const points: string[] = [];
  let [first, last] = [-1, -1];
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? NaN;
    if (Number.isNaN(value)) continue;
    if (first < 0) first = i;
    last = i;
    points.push(`${across(i, values.length).toFixed(2)} ${down(value, scale).toFixed(2)}`);
  }
  if (points.length === 0) return { line: '', area: '' };
  const line = `M${points.join('L')}`;
  const base = down(0, scale).toFixed(2);
  const [from, to] = [across(first, values.length), across(last, values.length)];
  return { line, area: `${line}L${to.toFixed(2)} ${base}L${from.toFixed(2)} ${base}Z` };
}
