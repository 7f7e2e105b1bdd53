import { evenTicks, plot, type Axis, type Panel, type Point, type Series } from '../plot.ts';
import { spreadOf } from '../table.ts';
import { arms } from './arms.ts';
import { ofArm, paired, type Results } from './results.ts';

const colours = ['#55585c', '#0a58a8', '#e0a100', '#12805c', '#4da884', '#c4502b', '#8c3a86'];

/** Held-out loss over the tokens, and each arm's perplexity at the end against the LLaMA of its seed. */
export function lossPlot(results: Results): string {
  return plot(
    [curves(results), endings(results)],
    'Held-out loss over the tokens trained on, and the perplexity of each arm against LLaMA',
  );
}

/** The later part of the training, where curves are told apart. */
function curves(results: Results): Panel {
  const { settings } = results;
  const tokens = settings.windows * settings.shape.contextLength;
  const series = arms.flatMap((arm, i): Series[] => {
    const all = ofArm(results, arm.name).map(({ heldOut }) => heldOut);
    const points = (all[0] ?? []).flatMap(({ step }): Point[] => {
      if (step < settings.steps / 3) return [];
      const values = all.flatMap(one => one.find(point => point.step === step)?.ce ?? []);
      const x = (step * tokens) / 1000;
      return [{ x, y: spreadOf(values).mean, low: Math.min(...values), high: Math.max(...values) }];
    });
    const isMain = arm.name === 'llama' || arm.name === 'lime';
    if (!isMain || points.length === 0) return [];
    return [{ label: arm.label, colour: colours[i] ?? '', points }];
  });
  const last = (settings.steps * tokens) / 1000;
  const first = last / 3;
  return {
    title: 'Held-out text, mean and range of the seeds',
    x: {
      label: 'thousand tokens',
      ticks: evenTicks(first, last, 100),
      range: [first, last * 1.02],
    },
    y: { label: 'nats per token', ...axisOf(series, 0.1) },
    series,
  };
}

function endings(results: Results): Panel {
  const series = arms.flatMap(({ name, label }, i): Series[] => {
    const ratios = paired(results, name, 'llama', ({ ce }) => ce).map(
      difference => 100 * Math.expm1(difference),
    );
    if (ratios.length === 0) return [];
    const [low, high] = [Math.min(...ratios), Math.max(...ratios)];
    const points = [{ x: i, y: spreadOf(ratios).mean, low, high }];
    return [{ label, colour: colours[i] ?? '', points, line: 'none', width: 4 }];
  });
  return {
    title: 'Perplexity against the LLaMA of the same seed',
    x: {
      label: 'a dot per arm: mean and range of its seeds',
      ticks: [],
      range: [-0.5, arms.length - 0.5],
    },
    y: { label: '%', ...axisOf(series, 1) },
    series,
  };
}

function axisOf(series: readonly Series[], step: number): Pick<Axis, 'ticks' | 'range'> {
  const values = series.flatMap(({ points }) =>
    points.flatMap(({ low = 0, high = 0 }) => [low, high]),
  );
  if (values.length === 0) return { ticks: [0, 1], range: [0, 1] };
  const low = step * Math.floor(Math.min(...values) / step - 0.2);
  const high = step * Math.ceil(Math.max(...values) / step + 0.2);
  const wide = [1, 2, 5, 10].find(times => (high - low) / (times * step) <= 10) ?? 20;
  return { range: [low, high], ticks: evenTicks(low, high, wide * step) };
}
