import { formatActivation, formatPercent } from '../common/numbers.ts';
import { escapeMarkdown, visibleText } from '../common/visibleText.ts';
import type { FeatureLabels } from '../contracts/engine.ts';
import type { FeatureActivation, TokenReading } from './documentAnalysis.ts';

/** What the hover is to show besides the tokens. */
export interface HoverOptions {
  readonly labels: FeatureLabels | undefined;
  readonly pinned: number | undefined;
  /** The dictionary that the features come from: 'base', or a residual SAE's name. */
  readonly source: string;
  readonly k: number;
  /** Rows per token. */
  readonly features: number;
  readonly predictions: number;
}

/** The commands that a hover may run; the editor trusts it with no others. */
export const hoverCommands = [
  'loupe.pinFeature',
  'loupe.unpinFeature',
  'loupe.showFeature',
  'loupe.revealNext',
] as const;

/** A token with its text in the document. */
export interface ReadToken {
  readonly reading: TokenReading;
  readonly text: string;
}

/**
 * Markdown that explains the tokens of one word, the one under the cursor first: its features as a table, its surprisal
 * and what the model expected next; the others in a line each.
 */
export function hoverText(tokens: readonly ReadToken[], options: HoverOptions): string {
  const [first, ...others] = tokens;
  if (first === undefined) return '';
  const rest = others.slice(0, otherTokens).map(token => otherToken(token, options));
  if (others.length > rest.length) rest.push(`${others.length - rest.length} more tokens`);
  return [explain(first, options), ...rest].join('\n\n');
}

/** Most tokens of the same word that get a line of their own: some scripts have no spaces between words. */
const otherTokens = 8;

/** What the hover says where there is no token. */
export const notAnalyzed =
  'Loupe: this place is not analyzed (yet). It was edited since, or lies outside the analyzed part of a long document.';

function explain({ reading, text }: ReadToken, options: HoverOptions): string {
  const paragraphs = [`**${shown(text)}** &nbsp; ${surprisal(reading.surprisal)}`];
  if (reading.excluded) paragraphs.push(excludedToken);
  else if (reading.features.length === 0) paragraphs.push(`No feature fires at k = ${options.k}.`);
  else paragraphs.push(...table(reading.features, options));
  const next = reading.predictions.slice(0, options.predictions);
  if (next.length > 0) {
    const list = next.map(
      ({ text, probability }) => `${shown(text)} ${formatPercent(probability)}`,
    );
    paragraphs.push(`Expected next: ${list.join(' &nbsp;·&nbsp; ')}`);
  }
  return paragraphs.join('\n\n');
}

const excludedToken =
  'Left out by the SAE’s token policy (first of its window, or an outlier in norm): its activations mean nothing.';

function surprisal(nats: number): string {
  if (Number.isNaN(nats)) return 'first token: nothing precedes it';
  const probability = formatPercent(Math.exp(-nats));
  const relation = probability.startsWith('<') ? '' : '= ';
  return `surprisal ${nats.toFixed(2)} nats (p ${relation}${probability})`;
}

function table(features: readonly FeatureActivation[], options: HoverOptions): string[] {
  const shownFeatures = features.slice(0, options.features);
  const rows = shownFeatures.map(feature => row(feature, options));
  const header = '| Feature | Fires on | Activation | Density | SAE | |\n|:--|:--|--:|--:|:--|:--|';
  const left = features.length - shownFeatures.length;
  const more = left > 0 ? [`${left} more at k = ${options.k}`] : [];
  return [[header, ...rows].join('\n'), ...more];
}

function row({ feature, activation }: FeatureActivation, options: HoverOptions): string {
  const { labels, pinned, source } = options;
  const isPinned = feature === pinned;
  const cells = [
    link(`#${feature}`, 'loupe.showFeature', feature, 'Show examples'),
    label(labels, feature),
    formatActivation(activation),
    formatPercent(labels?.density[feature] ?? NaN),
    shown(source),
    isPinned
      ? link('unpin', 'loupe.unpinFeature', undefined, 'Tint by the strongest feature again')
      : link('pin', 'loupe.pinFeature', feature, 'Tint the document by this feature'),
    link('next', 'loupe.revealNext', feature, 'Go to the next token on which it fires'),
  ];
  const actions = cells.splice(5).join(' ');
  return `| ${cells.map(cell => (isPinned ? `**${cell}**` : cell)).join(' | ')} | ${actions} |`;
}

function otherToken({ reading, text }: ReadToken, options: HoverOptions): string {
  const [strongest] = reading.features;
  const feature =
    reading.excluded || strongest === undefined
      ? 'no feature'
      : `${link(`#${strongest.feature}`, 'loupe.showFeature', strongest.feature, 'Show examples')} ` +
        `${label(options.labels, strongest.feature)} ${formatActivation(strongest.activation)}`;
  return `**${shown(text)}** &nbsp; ${feature}`;
}

function label(labels: FeatureLabels | undefined, feature: number): string {
  const text = labels?.labels[feature] ?? '';
  return text === '' ? '–' : escapeMarkdown(visibleText(text.trim(), 48).replaceAll('␣', ' '));
}

function shown(token: string): string {
  return escapeMarkdown(visibleText(token));
}

function link(
  text: string,
  command: (typeof hoverCommands)[number],
  feature: number | undefined,
  title: string,
): string {
  const argument = feature === undefined ? '' : `?${encodeURIComponent(JSON.stringify([feature]))}`;
  return `[${escapeMarkdown(text)}](command:${command}${argument} "${title}")`;
}
