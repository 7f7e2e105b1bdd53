import { formatCount } from '../../src/common/numbers.ts';
import { element, setText, setVariable, svgElement } from '../shared/dom.ts';
import { attachCursor } from '../shared/plotCursor.ts';

/** A value that was measured at a step of the training. */
export interface CurveValue {
  readonly step: number;
  readonly value: number;
}

/** A curve over the steps of a training, with the base's value as a line to compare with. */
export interface CurveChart {
  readonly element: HTMLElement;
  update(values: readonly CurveValue[], base: number | null): void;
}

export interface CurveOptions {
  readonly title: string;
  readonly format: (value: number) => string;
  /** Least height of the scale, so that noise does not look like a change. */
  readonly leastSpan: number;
  /** What the base's line is called. */
  readonly baseName?: string;
}

interface Scale {
  readonly low: number;
  readonly high: number;
}

export function createCurveChart(options: CurveOptions): CurveChart {
  const { title, format } = options;
  const line = svgElement('path', { class: 'line' });
  const svg = svgElement(
    'svg',
    { viewBox: '0 0 100 100', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    line,
  );
  const baseLine = element('div', { class: 'plotBase' });
  const cursor = element('div', { class: 'plotCursor', attributes: { hidden: '' } });
  const marker = element('div', { class: 'plotMarker' });
  const none = element('p', { class: 'plotNone dim' }, 'not measured yet');
  const plot = element(
    'div',
    { class: 'plotArea', attributes: { role: 'img' } },
    baseLine,
    svg,
    cursor,
    marker,
    none,
  );
  const readout = element('output', { class: 'plotReadout', attributes: { 'aria-live': 'off' } });
  const top = element('span', { class: 'plotTop' });
  const bottom = element('span', { class: 'plotBottom' });
  const [from, to] = [element('span'), element('span')];
  const axis = element('div', { class: 'plotAxis' }, from, to);
  let values: readonly CurveValue[] = [];
  let base: number | null = null;
  let scale: Scale = { low: 0, high: 1 };
  const describe = (i: number): string => {
    const point = values[i];
    return point ? `step ${formatCount(point.step)}: ${format(point.value)}` : '';
  };
  const place = (target: HTMLElement, i: number): void => {
    const point = values[i];
    target.hidden = point === undefined;
    if (!point) return;
    setVariable(target, '--x', `${across(values, point.step)}%`);
    setVariable(target, '--y', `${100 - down(point.value, scale)}%`);
  };
  const show = (i: number | undefined): void => {
    const last = values.at(-1);
    const compared = base === null ? '' : ` · ${options.baseName ?? 'base'} ${format(base)}`;
    if (i !== undefined) setText(readout, describe(i));
    else setText(readout, last ? `${format(last.value)}${compared}` : '');
    if (i === undefined) cursor.hidden = true;
    else place(cursor, i);
  };
  attachCursor({
    element: plot,
    count: () => values.length,
    at: fraction => nearest(values, fraction),
    start: () => values.length - 1,
    show,
    describe,
  });
  const head = element('div', { class: 'plotHead' }, element('span', {}, title), readout);
  const frame = element('div', { class: 'plotFrame' }, top, bottom, plot);
  return {
    element: element('div', { class: 'plot' }, head, frame, axis),
    update: (next, nextBase) => {
      values = next;
      base = nextBase;
      scale = scaleOf(values, base, options.leastSpan);
      line.setAttribute('d', pathOf(values, scale));
      none.hidden = values.length > 0;
      baseLine.hidden = base === null;
      if (base !== null) setVariable(baseLine, '--y', `${100 - down(base, scale)}%`);
      const isKnown = values.length > 0 || base !== null;
      setText(top, isKnown ? format(scale.high) : '');
      setText(bottom, isKnown ? format(scale.low) : '');
      const [first, last] = [values[0], values.at(-1)];
      setText(from, first ? `step ${formatCount(first.step)}` : '');
      setText(to, last && values.length > 1 ? formatCount(last.step) : '');
      place(marker, values.length - 1);
      if (cursor.hidden) show(undefined);
      const compared = base === null ? '' : `; base ${format(base)}`;
      const told = first && last ? `${describe(0)}; now ${format(last.value)}` : 'not measured yet';
      plot.setAttribute('aria-label', `${title}. ${told}${compared}`);
    },
  };
}

/** A little more than the values need, and never less than `leastSpan`. */
function scaleOf(values: readonly CurveValue[], base: number | null, leastSpan: number): Scale {
  const all = [...values.map(({ value }) => value), ...(base === null ? [] : [base])];
  if (all.length === 0) return { low: 0, high: 1 };
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const room = Math.max((high - low) * 0.12, (leastSpan - (high - low)) / 2);
  return { low: low - room, high: high + room };
}

function across(values: readonly CurveValue[], step: number): number {
  const [first, last] = [values[0]?.step ?? 0, values.at(-1)?.step ?? 0];
  return last > first ? (100 * (step - first)) / (last - first) : 100;
}

function down(value: number, { low, high }: Scale): number {
  return (100 * (high - value)) / (high - low);
}

function pathOf(values: readonly CurveValue[], scale: Scale): string {
  const points = values.map(
    ({ step, value }) => `${across(values, step).toFixed(2)} ${down(value, scale).toFixed(2)}`,
  );
  return points.length > 0 ? `M${points.join('L')}` : '';
}

function nearest(values: readonly CurveValue[], fraction: number): number {
  let best = 0;
  const away = (i: number): number =>
    Math.abs(across(values, values[i]?.step ?? NaN) - 100 * fraction);
  for (let i = 1; i < values.length; i++) if (away(i) < away(best)) best = i;
  return best;
}
