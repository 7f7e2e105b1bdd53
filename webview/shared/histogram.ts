import { formatActivation, formatCount } from '../../src/common/numbers.ts';
import { element, setText, svgElement } from './dom.ts';
import { attachCursor } from './plotCursor.ts';

/** Counts in equal bins from `min` to `max` as bars on a logarithmic scale, with values under the cursor. */
export interface Histogram {
  readonly element: HTMLElement;
  update(counts: ArrayLike<number>, max: number, min?: number): void;
}

/** What is counted, and what it is counted by. */
export interface HistogramWords {
  readonly one: string;
  readonly many: string;
  readonly axis: string;
  readonly format: (value: number) => string;
}

const activations: HistogramWords = {
  one: 'token',
  many: 'tokens',
  axis: 'activation',
  format: formatActivation,
};

export function createHistogram(title: string, words: HistogramWords = activations): Histogram {
  const { one, many, axis: axisName, format } = words;
  const svg = svgElement('svg', { preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  const plot = element('div', { class: 'plotArea bars', attributes: { role: 'img' } }, svg);
  const readout = element('output', { class: 'plotReadout', attributes: { 'aria-live': 'off' } });
  const [from, to] = [element('span', {}, '0'), element('span')];
  const axis = element('div', { class: 'plotAxis' }, from, element('span', {}, axisName), to);
  const head = element('div', { class: 'plotHead' }, element('span', {}, title), readout);
  let counts: ArrayLike<number> = [];
  let [min, max] = [0, 0];
  const describe = (bin: number): string => {
    const edge = (i: number): string => format(min + ((max - min) * i) / counts.length);
    const count = `${formatCount(counts[bin] ?? 0)} ${counts[bin] === 1 ? one : many}`;
    return `${edge(bin)}–${edge(bin + 1)}: ${count}`;
  };
  const total = (): string => `${formatCount(sum(counts))} ${many}, log scale`;
  const show = (bin: number | undefined): void => {
    setText(readout, bin === undefined ? total() : describe(bin));
    svg.querySelector('.read')?.classList.remove('read');
    if (bin !== undefined) svg.children[bin]?.classList.add('read');
  };
  attachCursor({
    element: plot,
    count: () => counts.length,
    at: fraction => Math.floor(fraction * counts.length),
    start: () => 0,
    show,
    describe,
  });
  return {
    element: element(
      'div',
      { class: 'plot' },
      head,
      element('div', { class: 'plotFrame' }, plot),
      axis,
    ),
    update: (nextCounts, nextMax, nextMin = 0) => {
      counts = nextCounts;
      [min, max] = [nextMin, nextMax];
      svg.setAttribute('viewBox', `0 0 ${Math.max(1, counts.length)} 100`);
      svg.replaceChildren(...bars(counts));
      setText(from, format(min));
      setText(to, format(max));
      plot.setAttribute(
        'aria-label',
        `${title}: ${total()}, ${axisName} ${min === 0 ? '' : `from ${format(min)} `}up to ${format(max)}`,
      );
      show(undefined);
    },
  };
}

function bars(counts: ArrayLike<number>): readonly SVGElement[] {
  const scale = Math.log1p(largest(counts));
  return Array.from(counts, (count, bin) => {
    // A bin with one token among millions must still be seen.
    const height = count > 0 && scale > 0 ? Math.max(3, (100 * Math.log1p(count)) / scale) : 0;
    return svgElement('rect', {
      x: `${bin + 0.08}`,
      y: `${100 - height}`,
      width: '0.84',
      height: `${height}`,
    });
  });
}

function sum(counts: ArrayLike<number>): number {
  return Array.from(counts).reduce((total, count) => total + count, 0);
}

function largest(counts: ArrayLike<number>): number {
  return Array.from(counts).reduce((most, count) => Math.max(most, count), 0);
}
