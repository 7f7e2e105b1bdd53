import { evenTicks, plot, type Axis, type Panel, type Series } from '../plot.ts';
import { compared, rowOf } from './methods.ts';
import { baseOn, relativeChange, type Results, type Row } from './results.ts';

const domainColours = ['#0a58a8', '#c4502b', '#12805c', '#6d2248', '#e0a100'];

/** What each method gains on the domain against what it loses on general text; what a residual SAE gains from more text. */
export function tradeOffPlot(results: Results): string {
  return plot(
    [tradeOff(results), budgets(results)],
    'Explained variance gained on domain text against that lost on general text, and over the tokens trained on',
  );
}

function tradeOff(results: Results): Panel {
  const series = compared.map(({ label, colour, ...method }): Series => {
    const points = results.material.domains
      .flatMap(domain => rowOf(results, domain, method) ?? [])
      .map(row => ({ x: generalChange(results, row), y: explained(results, row) }))
      .sort((a, b) => a.x - b.x);
    return { label, colour, points, line: 'none', width: 4 };
  });
  // What explains less than the base would push all others together.
  const better = series.filter(({ points }) => points.every(({ y }) => y > 0));
  return {
    title: 'What each method gains and loses, a dot per domain',
    x: { label: 'EV of general text against the base, %', ...range(better, 'x') },
    y: { label: 'of what the base leaves unexplained, %', ...range(better, 'y') },
    series,
  };
}

function budgets(results: Results): Panel {
  const { settings, rows, material } = results;
  const series = material.domains.flatMap((domain, i): Series[] => {
    const own = rows
      .filter(row => row.domain === domain && row.method === 'boost' && row.variant === 'plain')
      .filter(row => row.k === settings.k && row.seed === 0)
      .sort((a, b) => a.tokens - b.tokens);
    const curve = (value: (results: Results, row: Row) => number) =>
      own.map(row => ({ x: row.tokens / 1000, y: value(results, row) }));
    const colour = domainColours[i % domainColours.length] ?? '';
    return [{ label: domain, colour, points: curve(explained) }];
  });
  const ticks = [...new Set(series.flatMap(({ points }) => points.map(({ x }) => x)))].sort(
    (a, b) => a - b,
  );
  const [first = 1, last = 2] = [ticks[0], ticks.at(-1)];
  return {
    title: `Boost, k_res = ${settings.k}, over its tokens`,
    x: { label: 'thousand tokens', scale: 'log2', ticks, range: [first / 1.05, last * 1.05] },
    y: { label: 'of what the base leaves unexplained, %', ...range(series, 'y') },
    series,
  };
}

/** How much of the variance that the base does not explain, %. */
function explained(results: Results, { domain, domainText }: Row): number {
  return -100 * relativeChange(1 - domainText.ev, 1 - baseOn(results, domain).ev);
}

function generalChange(results: Results, { generalText }: Row): number {
  return 100 * relativeChange(generalText.ev, baseOn(results, 'general').ev);
}

/** Around all points, and 0. */
function range(series: readonly Series[], of: 'x' | 'y'): Pick<Axis, 'ticks' | 'range'> {
  const values = [0, ...series.flatMap(({ points }) => points.map(point => point[of]))];
  const [lowest, highest] = [Math.min(...values), Math.max(...values)];
  const step = [1, 2, 5, 10, 20, 50, 100].find(size => (highest - lowest) / size <= 8) ?? 200;
  const low = step * Math.floor(lowest / step);
  const high = step * Math.ceil(highest / step + 0.1);
  return { range: [low, high], ticks: evenTicks(low, high, step) };
}
