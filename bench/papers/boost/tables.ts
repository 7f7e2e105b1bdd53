import { markdownTable } from '../table.ts';
import { compared, rowOf } from './methods.ts';
import {
  baseOn,
  deltaCeChange,
  relativeChange,
  type Results,
  type Row,
  type TextMeasures,
} from './results.ts';
import { fineTuningRate, mixedShare, newFeatureRate, perturbation } from './training.ts';

/** The report's part that the command writes: how it was measured, and every table. */
export function report(results: Results): string {
  const { settings: s, material: m } = results;
  const { domains } = m;
  return [
    '![Explained variance gained on domain text against that lost on general text](boost.svg)',
    section('How', [
      `\`${results.command}\``,
      `${results.circumstances}. Base: ${m.base}, F = ${count(m.baseWidth)}, its ${m.baseK} strongest features, of ${m.model} at ${m.hook}, windows of ${m.windowLength} tokens. Every method learns from the same ${count(s.tokens)} tokens of a domain, once, unless a table says otherwise, in batches of 512 (budgets of 102,400 tokens and more: 1,024; under 51,200: 256). EV over ${count(m.heldOutTokens)} held-out tokens of each text, ΔCE (nats that the model loses when the reconstruction takes the place of its activations) over ${count(m.crossEntropyTokens)} of them. ± are changes relative to the base, (value - base) / base; unexplained is 1 - EV. Seed 0.`,
      methods(results),
    ]),
    section(
      'What each method gives',
      domains.map(domain => comparison(results, domain)),
    ),
    section('Features of a residual SAE per token', [byK(results)]),
    section('Tokens of the domain', [byBudget(results)]),
    section('Seeds', [bySeed(results)]),
    ...(results.sums.length > 0 ? [severalDomains(results)] : []),
  ].join('\n\n');
}

function methods({ settings: s, material: m }: Results): string {
  const share = `${100 * mixedShare} %`;
  return [
    `- **Boost**: a residual SAE of ${count(s.width)} features reads x and reconstructs the base's error; BatchTopK, k_res = ${s.k}, read by the threshold that lets k_res features fire per domain token. **Calibrated**: the same weights with a threshold for each feature, raised where it does harm on general training text. **General mixed in**: ${share} of the training tokens are general text, beside the same domain tokens.`,
    `- **Full fine-tuning**: all weights of the base, its own objective, learning rate ${fineTuningRate} (a tenth of that of new weights; no AuxK).`,
    `- **Extended**: ${count(s.width)} features more in the base, whose own features and bias stay as they are; the ${m.baseK} strongest of all fire; the base's objective, learning rate ${newFeatureRate}. They begin random, or as copies of the base's most active features on the domain, moved by ${100 * perturbation} % of their length.`,
    `- **Stitched**: the ${count(s.width)} features that full fine-tuning turned most (decoder and encoder), appended to the base, or in place of what they were; the ${m.baseK} strongest of all fire; no more training.`,
  ].join('\n');
}

function section(title: string, parts: readonly string[]): string {
  return [`## ${title}`, ...parts].join('\n\n');
}

function comparison(results: Results, domain: string): string {
  const base = baseOn(results, domain);
  const general = baseOn(results, 'general');
  const baseRow = [
    'base',
    l0(base),
    ev(base),
    '',
    '',
    deltaCe(base),
    '',
    ev(general),
    '',
    deltaCe(general),
    '',
  ];
  const rows = compared.flatMap(method => {
    const row = rowOf(results, domain, method);
    return row ? [[method.label, ...cells(results, row)]] : [];
  });
  const head = [
    'L0',
    'EV',
    '±',
    'unexplained ±',
    'ΔCE',
    '±',
    'general EV',
    '±',
    'general ΔCE',
    '±',
  ];
  return `### ${domain}\n\n${markdownTable(['', ...head], [baseRow, ...rows])}`;
}

function cells(results: Results, { domain, domainText: own, generalText }: Row): string[] {
  const [base, general] = [baseOn(results, domain), baseOn(results, 'general')];
  return [
    l0(own),
    ev(own),
    percent(relativeChange(own.ev, base.ev)),
    percent(relativeChange(1 - own.ev, 1 - base.ev)),
    deltaCe(own),
    percent(deltaCeChange(own, base)),
    ev(generalText),
    percent(relativeChange(generalText.ev, general.ev)),
    deltaCe(generalText),
    percent(deltaCeChange(generalText, general)),
  ];
}

function byK(results: Results): string {
  const { tokens } = results.settings;
  const found = boostRows(results, 'plain')
    .filter(row => row.tokens === tokens && row.seed === 0)
    .sort((a, b) => a.k - b.k);
  return markdownTable(
    [
      '',
      'k_res',
      'residual L0',
      'EV ±',
      'ΔCE ±',
      'residual L0 on general',
      'general EV ±',
      'general ΔCE ±',
    ],
    byDomain(results, found).map(row => [
      row.domain,
      String(row.k),
      row.domainText.residualL0.toFixed(1),
      ...changes(results, row).slice(0, 2),
      row.generalText.residualL0.toFixed(1),
      ...changes(results, row).slice(2),
    ]),
  );
}

function byBudget(results: Results): string {
  const { settings, material } = results;
  const kinds = compared.filter(
    ({ method, variant }) => method === 'boost' || (method === 'fine-tuned' && variant === 'plain'),
  );
  const rows = material.domains.flatMap(domain =>
    kinds.flatMap(({ label, method, variant }) =>
      results.rows
        .filter(row => row.domain === domain && row.method === method && row.variant === variant)
        .filter(row => row.seed === 0 && (row.method !== 'boost' || row.k === settings.k))
        .sort((a, b) => a.tokens - b.tokens)
        .map(row => {
          const [evChange = '', , generalChange = ''] = changes(results, row);
          const passes = Math.max(1, row.tokens / material.trainingTokens);
          const tokens = [count(row.tokens), passes > 1.1 ? `(${passes.toFixed(1)} passes)` : ''];
          return [`${domain}: ${label}`, tokens.join(' ').trim(), evChange, generalChange];
        }),
    ),
  );
  return markdownTable(['', 'tokens', 'EV ±', 'general EV ±'], rows);
}

function bySeed(results: Results): string {
  const { k, tokens } = results.settings;
  const rows = boostRows(results, 'plain').filter(row => row.k === k && row.tokens === tokens);
  return markdownTable(
    ['', 'seed', 'EV', 'EV ±', 'general EV', 'general EV ±', 'silent features'],
    byDomain(results, rows).map(row => {
      const [evChange = '', , generalChange = ''] = changes(results, row);
      return [
        row.domain,
        String(row.seed),
        ev(row.domainText),
        evChange,
        ev(row.generalText),
        generalChange,
        `${(100 * row.dead).toFixed(1)} %`,
      ];
    }),
  );
}

function severalDomains(results: Results): string {
  return section('Several domains at once', [
    'EV of the base with the sum of residual SAEs that were trained apart, on each text.',
    ...['plain', 'calibrated'].flatMap(variant => sums(results, variant)),
  ]);
}

function sums(results: Results, variant: string): string[] {
  const found = results.sums.filter(sum => sum.variant === variant);
  if (found.length === 0) return [];
  const texts = [...results.material.domains, 'general'];
  const base = ['base', ...texts.flatMap(text => [ev(baseOn(results, text)), ''])];
  const rows = found.map(sum => [
    sum.domains.join(' + '),
    ...texts.flatMap(text => {
      const measures = sum.texts[text];
      if (!measures) return ['', ''];
      return [ev(measures), percent(relativeChange(measures.ev, baseOn(results, text).ev))];
    }),
  ]);
  const ce = found
    .filter(sum => sum.domains.length === results.material.domains.length)
    .map(({ texts: measured }) =>
      texts
        .flatMap(text => {
          const measures = measured[text];
          if (!measures?.ce) return [];
          return [`${text} ${percent(deltaCeChange(measures, baseOn(results, text)))}`];
        })
        .join(', '),
    );
  return [
    variant === 'plain' ? 'As trained:' : 'Calibrated:',
    markdownTable(['', ...texts.flatMap(text => [text, '±'])], [base, ...rows]),
    ...(ce.some(Boolean) ? [`ΔCE with all of them, ±: ${ce.join('; ')}.`] : []),
  ];
}

/** EV, ΔCE, general EV and general ΔCE against the base. */
function changes(results: Results, row: Row): string[] {
  const [, , evChange = '', , , ceChange = '', , generalEv = '', , generalCe = ''] = cells(
    results,
    row,
  );
  return [evChange, ceChange, generalEv, generalCe];
}

function boostRows({ rows }: Results, variant: string): Row[] {
  return rows.filter(row => row.method === 'boost' && row.variant === variant);
}

/** In the order of the domains. */
function byDomain({ material }: Results, rows: readonly Row[]): Row[] {
  return material.domains.flatMap(domain => rows.filter(row => row.domain === domain));
}

function ev({ ev: value }: TextMeasures): string {
  return value.toFixed(4);
}

function deltaCe({ ce }: TextMeasures): string {
  return ce ? (ce.sae - ce.clean).toFixed(4) : '';
}

function l0({ l0: all, residualL0 }: TextMeasures): string {
  return residualL0 > 0
    ? `${(all - residualL0).toFixed(0)} + ${residualL0.toFixed(1)}`
    : all.toFixed(0);
}

function percent(value: number): string {
  if (!Number.isFinite(value)) return '';
  const text = (100 * value).toFixed(1).replace(/^-(0\.0)$/, '$1');
  return `${Number(text) > 0 ? '+' : ''}${text} %`;
}

function count(value: number): string {
  return value.toLocaleString('en');
}
