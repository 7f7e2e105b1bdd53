import type { Ratio } from '../../parts/contestants.ts';
import { markdownTable, spreadText } from '../table.ts';
import { arms } from './arms.ts';
import { initialMap, meanMap, resemblance } from './maps.ts';
import { optimiser } from './adamW.ts';
import { ofArm, paired, perplexity, reachedAt, type Results } from './results.ts';
import type { SpeedResult } from './speed.ts';

/** Perplexity against LLaMA in the paper's ablation of 150M models, %: arXiv 2502.09245 v2, router ablation. */
const ofPaper: Readonly<Record<string, number>> = {
  average: 0,
  'last-2': 16.281 / 16.4611 - 1,
  'last-4': 16.1675 / 16.4611 - 1,
  'first-2': 15.9746 / 16.4611 - 1,
  'first-4': 15.9586 / 16.4611 - 1,
  lime: 15.9267 / 16.4611 - 1,
};

/** The report's part that the command writes: how it was measured, and every table. */
export function report(results: Results): string {
  return [
    '![Held-out loss over the tokens, and perplexity against LLaMA](lime.svg)',
    section('How', how(results)),
    section('Perplexity', [
      'Held-out text. Means over the seeds ± their sample standard deviation; the difference to LLaMA is taken within each seed.',
      endings(results),
    ]),
    section('Seed by seed', [bySeed(results)]),
    section('Over the training', [
      `Nats per token of LLaMA on the first ${results.settings.soonWindows} windows of the held-out text, and what the others have above (+) or below it (-) there. Seed 0. Rows that end early: trainings that had not ended.`,
      overTraining(results),
      sooner(results),
    ]),
    section("The routers: the paper's Fig. 5", maps(results)),
    section('Speed', speed(results.speed)),
  ].join('\n\n');
}

function section(title: string, parts: readonly string[]): string {
  return [`## ${title}`, ...parts].join('\n\n');
}

const count = (value: number): string => value.toLocaleString('en');

function how({ command, circumstances, settings, text, trained }: Results): string[] {
  const { shape, windows, steps, warmUp } = settings;
  const { learningRates: rates, beta1, beta2, clip, decays } = optimiser;
  const size = (architecture: string): string =>
    count(trained.find(({ arm }) => arm === architecture)?.parameters ?? NaN);
  return [
    `\`${command}\``,
    `${circumstances}, one thread per training. ${shape.layers} layers, D = ${shape.width}, ${shape.heads} heads with keys and values of their own, feed-forward ${shape.feedForward}, tied embedding of ${count(shape.vocabulary)} byte pairs trained on the same text (${text.unitsPerToken.toFixed(2)} characters per token): ${size('llama')} parameters, LIMe ${size('lime')}. ${count(steps)} steps of ${windows} windows of ${shape.contextLength} tokens, each read once: ${count(steps * windows * shape.contextLength)} tokens. Held out: ${count(text.heldOutTokens)} tokens.`,
    `AdamW (${beta1}, ${beta2}), learning rate ${rates.matrix} (routers ${rates.router}), ${warmUp} steps of warm-up, then a cosine to 1 %; decay ${decays.matrix} for matrices alone, clipped at ${clip}. Routers begin as in the authors' code. A seed decides the initial weights and the order of the windows; all arms of a seed begin with the same weights, as far as they have them, and read the same windows in the same order.`,
  ];
}

function endings(results: Results): string {
  const rows = arms.flatMap(({ name, label }) => {
    const all = ofArm(results, name);
    if (all.length === 0) return [];
    const against = paired(results, name, 'llama', ({ ce }) => ce).map(
      difference => 100 * Math.expm1(difference),
    );
    const paper = ofPaper[name];
    return [
      [
        label,
        String(all.length),
        spreadText(
          all.map(({ ce }) => ce),
          { digits: 4 },
        ),
        spreadText(all.map(perplexity), { digits: 2 }),
        name === 'llama' ? '' : `${spreadText(against, { digits: 2, signed: true })} %`,
        paper === undefined ? '' : `${(100 * paper).toFixed(2)} %`,
      ],
    ];
  });
  const head = ['reads', 'seeds', 'nats per token', 'perplexity', 'against LLaMA', 'paper, 150M'];
  return markdownTable(head, rows);
}

function bySeed(results: Results): string {
  const seeds = [...new Set(results.trained.map(({ seed }) => seed))].sort((a, b) => a - b);
  const rows = arms
    .filter(({ name }) => ofArm(results, name).length > 0)
    .map(({ name, label }) => [
      label,
      ...seeds.map(seed => {
        const one = ofArm(results, name).find(trained => trained.seed === seed);
        return one ? perplexity(one).toFixed(2) : '-';
      }),
    ]);
  return markdownTable(['perplexity', ...seeds.map(seed => `seed ${seed}`)], rows);
}

/** Seed 0, which most arms have. */
function overTraining(results: Results): string {
  const { settings, trained, unfinished } = results;
  const tokens = settings.windows * settings.shape.contextLength;
  const curves = [...trained, ...unfinished].filter(({ seed }) => seed === 0);
  const steps = Array.from(
    { length: Math.floor(settings.steps / settings.every) },
    (_, i) => (i + 1) * settings.every,
  ).filter((_, i) => i % 2 === 0 && i > 0);
  const ce = (arm: string, step: number): number | undefined =>
    curves.find(one => one.arm === arm)?.heldOut.find(point => point.step === step)?.ce;
  const rows = arms
    .filter(({ name }) => ce(name, steps[0] ?? NaN) !== undefined)
    .map(({ name, label }) => [
      label,
      ...steps.map(step => {
        const [own, other] = [ce(name, step), ce('llama', step)];
        if (own === undefined || other === undefined) return '';
        return name === 'llama' ? own.toFixed(3) : signed(own - other);
      }),
    ]);
  const head = steps.map(step => `${count(Math.round((step * tokens) / 1000))}k`);
  return markdownTable(['tokens', ...head], rows);
}

function signed(value: number): string {
  return `${value > 0 ? '+' : ''}${value.toFixed(3)}`;
}

/** How much sooner LIMe is where LLaMA ends. */
function sooner(results: Results): string {
  const shares = ofArm(results, 'lime').flatMap(one => {
    const other = ofArm(results, 'llama').find(({ seed }) => seed === one.seed);
    const end = other?.heldOut.at(-1);
    const step = end && reachedAt(one, end.ce);
    return end && step !== undefined ? [100 * (1 - step / end.step)] : [];
  });
  const all = ofArm(results, 'lime').length;
  return `LIMe comes to where the LLaMA of its seed ends in ${shares.length} of ${all} seeds: there after ${spreadText(shares, { digits: 1 })} % fewer tokens (between two points the curve is taken as straight), in the others not at all.`;
}

function maps(results: Results): string[] {
  const all = ofArm(results, 'lime').filter(({ map }) => map.length > 0);
  if (all.length === 0) return ['No LIMe is trained yet.'];
  const { layers, keyValueHeads } = results.settings.shape;
  const mean = meanMap(all);
  const initial = initialMap(layers, keyValueHeads);
  const shown = (value: (at: number) => string): string =>
    markdownTable(
      ['layer', ...Array.from({ length: layers }, (_, buffer) => String(buffer + 1))],
      Array.from({ length: layers - 1 }, (_, i) => [
        String(i + 2),
        ...Array.from({ length: i + 2 }, (_, buffer) => value((i + 1) * layers + buffer)),
      ]),
    );
  const percent = (value: number): string => (100 * value).toFixed(0);
  const points = (value: number): string =>
    (value > 0 ? '+' : '') + percent(value).replace('-0', '0');
  return [
    'Share of each buffer in what a layer reads, %: mean |R| over heads and source heads, rows sum to 100; mean over the seeds. Buffer 1 holds the keys and values made from the embeddings.',
    shown(at => percent(mean[at] ?? NaN)),
    'The same minus its expectation at initialisation, in points.',
    shown(at => points((mean[at] ?? NaN) - (initial[at] ?? NaN))),
    resemblance(all, initial),
  ];
}

function speed(result: SpeedResult | undefined): string[] {
  if (!result) return ['Not measured.'];
  const rows = result.rows.map(({ architecture, one, batch }) => [
    architecture === 'lime' ? 'LIMe' : 'LLaMA',
    ...[one.median, one.ofMinima, batch.median, batch.ofMinima].map(value => value.toFixed(2)),
  ]);
  return [
    `A whole training step on one thread, PyTorch ${result.pytorch}'s time over Loupe's: above 1, Loupe is faster. Taken by turns in one run, ${result.rounds} rounds: median of the ratios within rounds, and ratio of the shortest. Loupe's graph takes one window per run; PyTorch is shown doing the same, and with the step's windows in one batch. Loupe's AdamW is plain TypeScript.`,
    markdownTable(['', 'median', 'of the shortest', 'one batch: median', 'of the shortest'], rows),
    `A step of LIMe over one of LLaMA: ${ratioText(result.limeOverLlama.loupe)}; in PyTorch ${ratioText(result.limeOverLlama.pytorch)}.`,
  ];
}

function ratioText({ median, ofMinima }: Ratio): string {
  return `${median.toFixed(2)} (of the shortest ${ofMinima.toFixed(2)})`;
}
