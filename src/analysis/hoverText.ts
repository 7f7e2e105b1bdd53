import {
  baseSource,
  locateFeature,
  sourcesOf,
  type FeatureSource,
  type NumberedSaes,
} from '../common/featureSources.ts';
import { formatActivation, formatPercent } from '../common/numbers.ts';
import { escapeMarkdown, visibleText } from '../common/visibleText.ts';
import type { FeatureLabels } from '../contracts/engine.ts';
import { relativeChange, type TokenError } from './comparison.ts';
import type { FeatureActivation, TokenReading } from './documentAnalysis.ts';
import type { Kept } from './kept.ts';

/** What the hover is to show besides the tokens. */
export interface HoverOptions {
  readonly labels: FeatureLabels | undefined;
  readonly pinned: number | undefined;
  /** The base and the domains that the features are numbered by. */
  readonly saes: NumberedSaes;
  readonly kept: Kept;
  /** The document's URI: a link acts on the document that was hovered over, whichever is active by then. */
  readonly document: string;
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
  if (!reading.excluded && options.kept.on.length > 0)
    paragraphs.push(errorLine(reading.error, options));
  if (reading.excluded) paragraphs.push(excludedToken);
  else if (reading.features.length === 0)
    paragraphs.push(`No feature fires at k = ${options.kept.k}.`);
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

/** How much of the activation is not reconstructed, and what the domains change of it. */
function errorLine(error: TokenError, { saes, kept }: HoverOptions): string {
  const names = kept.on.map(i => plain(saes.domains[i]?.name ?? '')).join(' + ');
  const change = Math.round(100 * relativeChange(error));
  const sign = change > 0 ? '+' : change < 0 ? '−' : '±';
  const lengths = `${formatActivation(error.base)} → ${formatActivation(error.boosted)}`;
  return `error |e| ${lengths} (${sign}${Math.abs(change)} %) with ${names}`;
}

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
  const more = left > 0 ? [`${left} more at k = ${options.kept.k}`] : [];
  return [[header, ...rows].join('\n'), ...more];
}

function row({ feature, activation }: FeatureActivation, options: HoverOptions): string {
  const { labels, pinned } = options;
  const isPinned = feature === pinned;
  const { source, number } = located(feature, options);
  const cells = [
    link(`#${number}`, 'loupe.showFeature', [feature], 'Show examples'),
    label(labels, feature),
    formatActivation(activation),
    formatPercent(labels?.density[feature] ?? NaN),
    isPinned ? sourceName(source) : marked(source),
    isPinned
      ? link('unpin', 'loupe.unpinFeature', [], 'Tint by the strongest feature again')
      : link('pin', 'loupe.pinFeature', [feature], 'Tint the document by this feature'),
    link(
      'next',
      'loupe.revealNext',
      [feature, options.document],
      'Go to the next token on which it fires',
    ),
  ];
  const actions = cells.splice(5).join(' ');
  return `| ${cells.map(cell => (isPinned ? `**${cell}**` : cell)).join(' | ')} | ${actions} |`;
}

function otherToken({ reading, text }: ReadToken, options: HoverOptions): string {
  const [strongest] = reading.features;
  if (reading.excluded || strongest === undefined) return `**${shown(text)}** &nbsp; no feature`;
  const { feature, activation } = strongest;
  const { source, number } = located(feature, options);
  const facts = [
    link(`#${number}`, 'loupe.showFeature', [feature], 'Show examples'),
    ...(isDomain(source) ? [marked(source)] : []),
    label(options.labels, feature),
    formatActivation(activation),
  ];
  return `**${shown(text)}** &nbsp; ${facts.join(' ')}`;
}

function located(
  feature: number,
  { saes }: HoverOptions,
): { readonly source: FeatureSource | undefined; readonly number: number } {
  return locateFeature(feature, sourcesOf(saes)) ?? { source: undefined, number: feature };
}

function isDomain(source: FeatureSource | undefined): boolean {
  return source !== undefined && source.name !== baseSource;
}

/** "base", or "+ chemistry" for what a domain adds: a sign that is read aloud as what it means. */
function sourceName(source: FeatureSource | undefined): string {
  return isDomain(source) ? `&#43; ${plain(source?.name ?? '')}` : baseSource;
}

/** A domain's name stands out. */
function marked(source: FeatureSource | undefined): string {
  return isDomain(source) ? `**${sourceName(source)}**` : sourceName(source);
}

function plain(name: string): string {
  return escapeMarkdown(visibleText(name.trim(), 48).replaceAll('␣', ' '));
}

function label(labels: FeatureLabels | undefined, feature: number): string {
  const text = labels?.labels[feature] ?? '';
  return text === '' ? '–' : plain(text);
}

function shown(token: string): string {
  return escapeMarkdown(visibleText(token));
}

function link(
  text: string,
  command: (typeof hoverCommands)[number],
  args: readonly (number | string)[],
  title: string,
): string {
  // A bracket would end the link.
  const json = encodeURIComponent(JSON.stringify(args)).replace(
    /[()']/g,
    character => `%${character.charCodeAt(0).toString(16)}`,
  );
  const argument = args.length === 0 ? '' : `?${json}`;
  return `[${escapeMarkdown(text)}](command:${command}${argument} "${title}")`;
}
