import { formatBytes, formatCount, formatPercent, isKnown } from '../../src/common/numbers.ts';
import type { Distribution, SaeCard } from '../../src/contracts/lookAt.ts';
import type { SaeCardState } from '../../src/contracts/saeCardPanel.ts';
import { button } from '../shared/controls.ts';
import { element } from '../shared/dom.ts';
import { createHistogram } from '../shared/histogram.ts';
import { createNotes, createTable, section } from './tables.ts';

type Shown = Extract<SaeCardState, { kind: 'sae' }>;

/** The page of one SAE. */
export function createCardView(state: Shown, use: () => void): readonly HTMLElement[] {
  const { card, inUse, usable, obstacle } = state;
  const { features, inputWidth, hook } = card;
  const lead = `${formatCount(features)} features of activations ${formatCount(inputWidth)} wide at `;
  const actions = element('div', { class: 'actions' });
  if (inUse) actions.append(element('p', { class: 'dim' }, 'This SAE is in use.'));
  else if (usable) actions.append(button('Use This SAE', use));
  return [
    element(
      'header',
      {},
      element('h1', {}, card.name),
      element('p', { class: 'lead' }, lead, element('code', {}, hook)),
    ),
    ...(obstacle === null ? [] : [element('p', { class: 'warning' }, obstacle)]),
    actions,
    factList(card),
    element('div', { class: 'plots' }, ...plotsOf(card)),
    section('Files', createTable(['File', 'Size'], filesOf(card))),
    ...(card.notes.length === 0
      ? []
      : [section('What else the file says', createNotes(card.notes))]),
  ];
}

function filesOf({ files }: SaeCard): readonly (readonly string[])[] {
  return files.map(({ name, bytes }) => [name, formatBytes(bytes)]);
}

function factList(card: SaeCard): HTMLElement {
  const facts: [string, string][] = [
    ['Kind', card.maxK === null ? card.rule : `${card.rule}, k up to ${card.maxK}`],
    ['Model', card.model ?? 'not told'],
    ['Expansion', `${(card.features / card.inputWidth).toFixed(1)} features per dimension`],
    ['Encoder reads', card.subtractsDecoderBias ? 'x − b_dec' : 'x'],
    ['Decoder norms', rangeOf(card.decoderNorms)],
    ['Encoder norms', rangeOf(card.encoderNorms)],
  ];
  if (card.base !== null) facts.push(['Residual of', card.base]);
  if (card.thresholds) facts.push(['Thresholds', rangeOf(card.thresholds)]);
  if (card.density) facts.push(['Density', densityText(card.density, card.features)]);
  return element(
    'dl',
    { class: 'facts' },
    ...facts.map(([name, value]) =>
      element('div', {}, element('dt', {}, name), element('dd', {}, value)),
    ),
  );
}

function rangeOf({ min, mean, max }: Distribution): string {
  if (!isKnown(mean)) return 'none is a number';
  const range = `${shortNumber(min)} to ${shortNumber(max)}`;
  return min === max ? shortNumber(mean) : `${shortNumber(mean)} on average, ${range}`;
}

function densityText(density: NonNullable<SaeCard['density']>, features: number): string {
  const { mean, left, source } = density;
  const typical = isKnown(mean) ? `${formatPercent(10 ** mean)} of tokens (geometric mean)` : '–';
  const dead = `${formatCount(left)} of ${formatCount(features)} never fired`;
  return `${typical}; ${dead}; from ${source}`;
}

function plotsOf(card: SaeCard): readonly HTMLElement[] {
  const all: readonly (readonly [string, string, Distribution | null])[] = [
    ['Decoder norms', '|W_dec|', card.decoderNorms],
    ['Encoder norms', '|W_enc|', card.encoderNorms],
    ['Thresholds', 'threshold', card.thresholds],
    ['Density', 'log10 of the share of tokens', card.density],
  ];
  return all.flatMap(([title, axis, values]) => {
    if (values === null || !isKnown(values.mean)) return [];
    // All in one bin says nothing that the number does not.
    if (values.min === values.max) return [];
    const words = { one: 'feature', many: 'features', axis, format: shortNumber };
    const plot = createHistogram(title, words);
    plot.update(values.counts, values.max, values.min);
    return [plot.element];
  });
}

function shortNumber(value: number): string {
  const size = Math.abs(value);
  const text =
    size !== 0 && (size < 0.01 || size >= 10_000)
      ? value.toExponential(1)
      : value.toFixed(size < 10 ? 2 : 1);
  return text.replace('-', '−');
}
