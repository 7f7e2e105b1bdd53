import { baseSource } from '../common/featureSources.ts';
import type { AnalyzedFeature, AnalyzedToken, AnalyzeResult } from '../contracts/commandLine.ts';

/** Features of a token that the table shows, and features of the document below it. */
const shownPerToken = 3;
const shownOfDocument = 12;

/** xterm colours of the background from weak to strong, all dark enough for light text. */
const backgrounds = [17, 18, 54, 90, 126, 161];

/** An analysis for people: the text tinted where colours are to be had, else a table of tokens; then its features. */
export function analysisText(result: AnalyzeResult, colours: boolean): string {
  const { model, sae, k, tokens } = result;
  return [
    `${model}, ${sae}, k = ${k}: ${tokens.length} tokens, mean surprisal ${meanSurprisal(tokens)} nats`,
    '',
    colours ? tintedText(tokens) : tokenTable(result),
    '',
    featureTable(result),
  ].join('\n');
}

/** The document's text, each token on a background that tells how strongly its strongest feature fires. */
function tintedText(tokens: readonly AnalyzedToken[]): string {
  const strongest = tokens.map(({ features }) => features[0]?.activation ?? 0);
  // The first token's activation is often far beyond all others.
  const largest = strongest.slice(1).reduce((max, activation) => Math.max(max, activation), 0);
  let text = '';
  let written = 0;
  tokens.forEach(({ text: token, end }, i) => {
    if (end <= written) return; // another token of the same character
    written = end;
    const share = Math.min(1, (strongest[i] ?? 0) / (largest || 1));
    const background = backgrounds[Math.round(share * (backgrounds.length - 1))] ?? 0;
    text += printable(token).replaceAll(/[^\n]+/g, `\x1b[97;48;5;${background}m$&\x1b[0m`);
  });
  return text;
}

function tokenTable(result: AnalyzeResult): string {
  const lines = result.tokens.map(({ index, text, surprisal, features }) => {
    const shown = features.slice(0, shownPerToken).map(feature => {
      const label = labelOf(feature, result);
      return `${nameOf(feature)}: ${feature.activation.toFixed(2)}${label && ` (${label})`}`;
    });
    const token = printable(JSON.stringify(text).slice(1, -1));
    return `${String(index).padStart(6)}  ${(surprisal?.toFixed(2) ?? '').padStart(6)}  ${token.padEnd(14)}  ${shown.join(', ')}`;
  });
  return [
    `${'token'.padStart(6)}  ${'nats'.padStart(6)}  ${'text'.padEnd(14)}  features`,
    ...lines,
  ].join('\n');
}

/** The document's features by their largest activation. */
function featureTable(result: AnalyzeResult): string {
  const found = new Map<string, { of: AnalyzedFeature; count: number; largest: number }>();
  for (const { features } of result.tokens.slice(1)) {
    for (const of of features) {
      const { count, largest } = found.get(nameOf(of)) ?? { count: 0, largest: 0 };
      found.set(nameOf(of), { of, count: count + 1, largest: Math.max(largest, of.activation) });
    }
  }
  const strongest = [...found].sort(([, a], [, b]) => b.largest - a.largest);
  const lines = strongest.slice(0, shownOfDocument).map(([name, { of, count, largest }]) => {
    const columns = [name.padStart(7), String(count).padStart(6), largest.toFixed(2).padStart(8)];
    return `${columns.join('  ')}  ${labelOf(of, result)}`.trimEnd();
  });
  return ['feature  tokens  largest  label', ...lines].join('\n');
}

/** The base's features by number, a domain's with its name before it. */
function nameOf({ id, source }: AnalyzedFeature): string {
  return source === baseSource ? String(id) : `${printable(source)} ${id}`;
}

/** '' where it has none. */
function labelOf({ id, source }: AnalyzedFeature, result: AnalyzeResult): string {
  const labels = source === baseSource ? result.labels : result.domainLabels?.[source];
  return printable(labels?.[id] ?? '');
}

function meanSurprisal(tokens: readonly AnalyzedToken[]): string {
  const known = tokens.flatMap(({ surprisal }) => surprisal ?? []);
  return (known.reduce((sum, nats) => sum + nats, 0) / known.length).toFixed(3);
}

/** The text with every control character but tabs and line ends made visible: a terminal would obey them. */
function printable(text: string): string {
  return text.replaceAll(/(?![\t\n])\p{Cc}/gu, '\ufffd');
}
