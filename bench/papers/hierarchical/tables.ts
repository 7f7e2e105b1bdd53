import { markdownTable, spreadText, type NumberFormat } from '../table.ts';
import { contenders, hierarchical, powersOfTwo, type Contender } from './contenders.ts';
import type { Measures } from './measures.ts';
import { ceScoreAt, evAt, ofContender, paired, type Results } from './results.ts';

/** The report's part that the command writes: how it was measured, and every table. */
export function report(results: Results): string {
  const { settings: s, material: m } = results;
  const count = (value: number): string => value.toLocaleString('en');
  return [
    '![Explained variance and CE score over k](hierarchical.svg)',
    section('How', [
      `\`${results.command}\``,
      `${results.circumstances}. ${m.model}, ${m.hook}, windows of ${m.windowLength} tokens. Each SAE: F = ${count(s.features)}, ${count(s.tokens)} tokens in batches of ${count(s.batch)}, out of ${count(m.trainingTokens)} tokens of text, learning rate ${s.learningRate}, AuxK ${s.auxiliaryK} for features silent for ${count(s.deadTokens)} tokens; ${seedsText(results)}, which decide the initial weights and the order of the tokens: SAEs of the same seed begin alike and see the same batches. EV over ${count(m.heldOutTokens)} held-out tokens, CE over the first ${count(m.crossEntropyTokens)} of them.`,
      'Numbers are means over the seeds ± their sample standard deviation; differences are taken within each seed. "k strongest" takes the k largest pre-activations of an SAE, whatever k it was trained for; **bold** is at its own k. BatchTopK is also read by its own threshold, as it is meant to be used.',
    ]),
    section('Each at its own k', [
      'One hierarchical SAE against SAEs trained for that k alone (k strongest features for all).',
      ownK(results, 'EV', evAt, 4),
      ownK(results, 'CE score', ceScoreAt, 4),
    ]),
    section('BatchTopK by its own threshold', [
      'Against the hierarchical SAE of the same seed at the same L0 (its curve read between whole k, and no further than K).',
      byThreshold(results),
    ]),
    section('EV at every k', [everyK(results, evAt, powersOfTwo(1, 2 * s.k))]),
    section('EV minus that of the hierarchical SAE', [
      `How an SAE of a fixed k does away from its own; k = ${2 * s.k} is beyond every SAE's training.`,
      everyK(results, evAt, powersOfTwo(1, 2 * s.k), true),
    ]),
    section('CE score at every k', [everyK(results, ceScoreAt, powersOfTwo(4, s.k))]),
    section('CE score minus that of the hierarchical SAE', [
      everyK(results, ceScoreAt, powersOfTwo(4, s.k), true),
    ]),
    section('Prefix sets J', [
      `Which prefixes the loss counts; J = {${s.k}} is TopK. EV, and its difference to J = all.`,
      prefixSets(results),
    ]),
    section('Dead features', [
      `In training: share of features silent for the last ${count(s.deadTokens)} tokens. On held-out text: never among the k strongest of its ${count(m.heldOutTokens)} tokens, at the SAE's own K and at fewer.`,
      deadFeatures(results),
    ]),
    section('Cost of a training step', [
      `Against TopK k = ${s.k}; steps taken by turns in one run (median of the ratios within rounds, ratio of the shortest). Random activations, no dead features.`,
      cost(results),
    ]),
  ].join('\n\n');
}

/** `2 seeds`, or of which SAEs there are fewer. */
function seedsText(results: Results): string {
  const { seeds, k } = results.settings;
  const fewer = contenders(k).flatMap(({ name, label }) => {
    const { length } = ofContender(results, name);
    return length < seeds ? [`${label}: ${length}`] : [];
  });
  return `${seeds} seeds${fewer.length > 0 ? ` (so far ${fewer.join('; ')})` : ''}`;
}

function section(title: string, parts: readonly string[]): string {
  return [`## ${title}`, ...parts].join('\n\n');
}

type ValueAt = (measures: Measures, k: number) => number;

function ownK(results: Results, measure: string, value: ValueAt, digits: number): string {
  const own = ofContender(results, hierarchical);
  const rows = powersOfTwo(8, results.settings.k).map(k => {
    const others = ['topk', 'batchtopk'].map(name => ofContender(results, `${name}-${k}`));
    return [
      String(k),
      spreadText(at(own, k, value), { digits }),
      ...others.map(all => spreadText(at(all, k, value), { digits })),
      ...others.map(all => differences(own, all, k, value, { digits })),
    ];
  });
  const head = ['hierarchical', 'TopK', 'BatchTopK', '- TopK', '- BatchTopK'];
  return markdownTable([`k (${measure})`, ...head], rows);
}

function byThreshold(results: Results): string {
  const own = ofContender(results, hierarchical);
  const rows = powersOfTwo(8, results.settings.k).map(k => {
    const all = ofContender(results, `batchtopk-${k}`);
    const figures = all.flatMap(({ threshold }) => (threshold ? [threshold] : []));
    const against = (value: ValueAt, of: (m: Measures) => number | undefined): string =>
      spreadText(
        paired(own, all, (one, other) => {
          const l0 = Math.min(other.threshold?.l0 ?? NaN, results.settings.k);
          return value(one, l0) - (of(other) ?? NaN);
        }),
        { digits: 4, signed: true },
      );
    return [
      `BatchTopK k = ${k}`,
      spreadText(
        figures.map(({ l0 }) => l0),
        { digits: 1 },
      ),
      spreadText(
        figures.map(({ ev }) => ev),
        { digits: 4 },
      ),
      against(evAt, ({ threshold }) => threshold?.ev),
      spreadText(
        figures.map(({ ce }) => ce.score),
        { digits: 4 },
      ),
      against(ceScoreAt, ({ threshold }) => threshold?.ce.score),
    ];
  });
  return markdownTable(
    ['', 'L0', 'EV', 'hierarchical EV minus it', 'CE score', 'hierarchical score minus it'],
    rows,
  );
}

/** A row per kind of SAE, a column per k; `against`: minus the hierarchical SAE of the same seed. */
function everyK(results: Results, value: ValueAt, ks: readonly number[], against = false): string {
  const base = ofContender(results, hierarchical);
  const rows = contenders(results.settings.k)
    .filter(({ name }) => !against || name !== hierarchical)
    .map(contender => {
      const all = ofContender(results, contender.name);
      const cells = ks.map(k => {
        const text = against
          ? differences(all, base, k, value, { digits: 3 })
          : spreadText(at(all, k, value));
        return isOwn(contender, k) ? `**${text}**` : text;
      });
      return [contender.label, ...cells];
    });
  return markdownTable(['', ...ks.map(k => `k = ${k}`)], rows);
}

function prefixSets(results: Results): string {
  const { k: kMax } = results.settings;
  const ks = powersOfTwo(1, kMax);
  const base = ofContender(results, hierarchical);
  const sets = [
    ['all, 1..K', hierarchical],
    ['powers of two', 'hierarchical-powers'],
    ['last only', `topk-${kMax}`],
  ] as const;
  const rows = sets.flatMap(([label, name]) => {
    const all = ofContender(results, name);
    const values = [label, ...ks.map(k => spreadText(at(all, k, evAt)))];
    if (name === hierarchical) return [values];
    return [values, ['- all', ...ks.map(k => differences(all, base, k, evAt, { digits: 3 }))]];
  });
  return markdownTable(['J', ...ks.map(k => `k = ${k}`)], rows);
}

function deadFeatures(results: Results): string {
  const ks = powersOfTwo(8, results.settings.k);
  const percent = (values: readonly number[]): string =>
    `${spreadText(
      values.map(value => 100 * value),
      { digits: 1 },
    )} %`;
  const rows = contenders(results.settings.k).map(contender => {
    const all = ofContender(results, contender.name);
    return [
      contender.label,
      percent(all.map(({ deadInTraining }) => deadInTraining)),
      ...ks.map(k => {
        if (k > contender.k) return '';
        const text = percent(all.map(({ strongest }) => strongest.dead[k] ?? NaN));
        return isOwn(contender, k) ? `**${text}**` : text;
      }),
    ];
  });
  return markdownTable(['', 'in training', ...ks.map(k => `k = ${k}`)], rows);
}

function cost({ cost: costs, settings }: Results): string {
  const rows = contenders(settings.k).map(({ name, label }) => {
    const ratio = costs[name];
    return [label, ...[ratio?.median, ratio?.ofMinima].map(value => (value ?? NaN).toFixed(2))];
  });
  return markdownTable(['', 'median', 'of the shortest'], rows);
}

function at(all: readonly Measures[], k: number, value: ValueAt): number[] {
  return all.map(measures => value(measures, k)).filter(Number.isFinite);
}

function differences(
  one: readonly Measures[],
  other: readonly Measures[],
  k: number,
  value: ValueAt,
  format: NumberFormat,
): string {
  const values = paired(one, other, (a, b) => value(a, k) - value(b, k));
  return spreadText(values, { ...format, signed: true });
}

/** Whether an SAE was trained for this k: any up to K if it is hierarchical, but then that is not worth a mark. */
function isOwn({ objective, k: own }: Contender, k: number): boolean {
  return objective !== 'hierarchical' && k === own;
}
