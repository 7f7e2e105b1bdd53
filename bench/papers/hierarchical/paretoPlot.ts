import { evenTicks, plot, type Axis, type Panel, type Point, type Series } from '../plot.ts';
import { contenders, hierarchical, powersOfTwo } from './contenders.ts';
import type { Measures } from './measures.ts';
import { ceScoreAt, evAt, ofContender, type Results } from './results.ts';

const colours = {
  hierarchical: '#0a58a8',
  powers: '#4aa3df',
  batchtopk: '#12805c',
  topk: ['#e0a100', '#d97a1f', '#c4502b', '#9c2f3f', '#6d2248'],
};

/** EV and CE score over k of every kind of SAE. */
export function paretoPlot(results: Results): string {
  const { k: kMax } = results.settings;
  const everyK = Array.from({ length: kMax }, (_, i) => i + 1);
  return plot(
    [
      panel(results, 'Explained variance, held-out', evAt, {
        ks: everyK,
        threshold: m => m.threshold?.ev,
      }),
      panel(results, 'CE score, held-out', ceScoreAt, {
        ks: powersOfTwo(4, kMax),
        threshold: m => m.threshold?.ce.score,
      }),
    ],
    'Explained variance and CE score over the number of features kept per token',
  );
}

interface Choice {
  readonly ks: readonly number[];
  readonly threshold: (measures: Measures) => number | undefined;
}

function panel(
  results: Results,
  title: string,
  value: (measures: Measures, k: number) => number,
  { ks, threshold }: Choice,
): Panel {
  const { k: kMax } = results.settings;
  const all = contenders(kMax);
  const curve = (name: string): Point[] =>
    ks.map(k =>
      pointOf(
        k,
        ofContender(results, name).map(m => value(m, k)),
      ),
    );
  const topK = all.filter(({ objective }) => objective === 'topk');
  const series: Series[] = [
    ...topK.map(({ name, k }, i) => ({
      label: `TopK, k = ${k}`,
      colour: colours.topk[i % colours.topk.length] ?? '',
      points: curve(name),
      dotsAt: [k],
    })),
    {
      label: 'BatchTopK, own L0',
      colour: colours.batchtopk,
      line: 'none',
      points: all
        .filter(({ objective }) => objective === 'batchtopk')
        .flatMap(({ name }) => {
          const found = ofContender(results, name);
          const l0 = found.map(m => m.threshold?.l0 ?? NaN);
          if (found.length === 0) return [];
          return [
            pointOf(
              mean(l0),
              found.map(m => threshold(m) ?? NaN),
            ),
          ];
        }),
    },
    {
      label: 'J = powers of 2',
      colour: colours.powers,
      line: 'dashed',
      points: curve('hierarchical-powers'),
      dotsAt: [],
    },
    {
      label: 'hierarchical',
      colour: colours.hierarchical,
      width: 2.5,
      points: curve(hierarchical),
      dotsAt: powersOfTwo(1, kMax),
    },
  ];
  const first = ks[0] ?? 1;
  return {
    title,
    x: {
      label: 'k: features kept per token (BatchTopK: mean L0)',
      scale: 'log2',
      ticks: powersOfTwo(first, kMax),
      range: [first, kMax * 1.12],
    },
    y: { label: title.split(',')[0] ?? '', ...verticalRange(series) },
    series: series.filter(({ points }) => points.some(({ y }) => Number.isFinite(y))),
  };
}

function pointOf(x: number, values: readonly number[]): Point {
  return { x, y: mean(values), low: Math.min(...values), high: Math.max(...values) };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Down to what the better curves need: an SAE far from its own k may fall out of the picture. */
function verticalRange(series: readonly Series[]): Pick<Axis, 'ticks' | 'range'> {
  const heights = (some: readonly Series[]): number[] =>
    some.flatMap(({ points }) => points.map(({ y }) => y)).filter(Number.isFinite);
  const best = heights(series.slice(-1));
  const room = Math.max(...best) - Math.min(...best);
  const step = room > 0.5 ? 0.2 : room > 0.2 ? 0.1 : room > 0.1 ? 0.05 : 0.02;
  const lowest = Math.max(Math.min(...heights(series)), Math.min(...best) - 0.4 * room);
  const low = step * Math.floor(lowest / step);
  const highest = Math.max(...heights(series));
  const high = highest + 0.05 * (highest - low);
  return { range: [low, high], ticks: evenTicks(low, high, step) };
}
