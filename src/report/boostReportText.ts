import { formatActivation, formatCount, formatDecimal } from '../common/numbers.ts';
import { visibleText } from '../common/visibleText.ts';
import type {
  BoostReport,
  ImprovedToken,
  ReportExample,
  ReportFeature,
  ReportVariant,
  TextPlace,
} from '../contracts/boostReport.ts';
import { densities, headline, measureRows, type MeasureCells } from './measureRows.ts';
import { markdownTable, plainMarkdown } from './markdown.ts';
import { isInUse, variantTitles } from './variantTitles.ts';

/** Features whose examples are written out; the others are in the table and in report.json. */
const describedFeatures = 30;
const examplesPerFeature = 3;

/** The report of a residual SAE as a Markdown document (GitHub's tables). */
export function boostReportText(report: BoostReport): string {
  const [plain] = report.variants;
  const sections = [
    `# Residual SAE “${plainMarkdown(report.name)}”`,
    ...(plain ? [plainMarkdown(headline(report.name, plain))] : []),
    facts(report),
    ...report.variants.flatMap(variantSection),
    ...featureSection(report.features),
    ...improvedSection(report.improved),
    '## How this was measured',
    plainMarkdown(report.convention),
  ];
  return `${sections.join('\n\n')}\n`;
}

function facts({ model, base, width, k, text, ...report }: BoostReport): string {
  const topK = base.k === null ? '' : `, ${base.k} features per token`;
  return [
    `- Model: ${plainMarkdown(model)}`,
    `- Base SAE: ${plainMarkdown(base.name)}${topK} (sha256 ${plainMarkdown(base.hash)})`,
    `- Residual SAE: ${formatCount(width)} features, ${k} per token of the domain`,
    `- Trained on ${formatCount(report.trainedTokens)} tokens (${formatCount(report.uniqueTokens)} of text)`,
    `- Domain text: ${source(text.domain)}`,
    `- General text: ${source(text.general)}`,
  ].join('\n');
}

function source({ description, files, tokens }: BoostReport['text']['domain']): string {
  const unit = files === 1 ? 'file' : 'files';
  return `${formatCount(tokens)} tokens of ${formatCount(files)} ${unit}; ${plainMarkdown(description)}`;
}

function variantSection(variant: ReportVariant): string[] {
  const title = variantTitles[variant.name];
  const side = ({ base, boosted, change }: MeasureCells): string[] => [base, boosted, change];
  return [
    `## ${title}`,
    `${plainMarkdown(variant.description)} Threshold ${formatDecimal(variant.threshold)}; ${folder(variant)}.`,
    markdownTable(
      ['', 'Domain: base', 'boosted', 'change', 'General: base', 'boosted', 'change'],
      measureRows(variant).map(row => [row.name, ...side(row.domain), ...side(row.general)]),
      'lrrrrrr',
    ),
    ...subsetSection(variant),
  ];
}

function folder(variant: ReportVariant): string {
  return isInUse(variant)
    ? 'in use, in this folder'
    : `folder \`${variant.folder.replaceAll('`', '')}\``;
}

function subsetSection({ subsets }: ReportVariant): string[] {
  if (subsets.length === 0) return [];
  const rows = subsets.map(({ domains, domain, general }) => [
    plainMarkdown(domains.join(' + ')),
    ...[domain, general].flatMap(({ ev, deltaCe, residualL0 }) => [
      formatDecimal(ev),
      formatDecimal(deltaCe),
      formatDecimal(residualL0, 1),
    ]),
  ]);
  const head = [
    'Domains on',
    'Domain: EV',
    'ΔCE',
    'residual L0',
    'General: EV',
    'ΔCE',
    'residual L0',
  ];
  return ['### Subsets of domains', markdownTable(head, rows, 'lrrrrrr')];
}

function featureSection(features: readonly ReportFeature[]): string[] {
  if (features.length === 0) return ['## New features', 'None fires on the held-out domain text.'];
  const rows = features.map(feature => [
    `#${feature.feature}`,
    token(feature.label),
    densities(feature),
    feature.nearest
      .map(
        near => `#${near.feature} ${token(near.label)} (cosine ${formatDecimal(near.cosine, 2)})`,
      )
      .join('; '),
  ]);
  return [
    '## New features',
    'Most frequent first. Beside each stand the base’s features of the most similar decoder direction: a cosine near 1 would mean that the base had the feature already.',
    markdownTable(['Feature', 'Fires on', 'How often', 'Nearest base features'], rows, 'llll'),
    ...features.slice(0, describedFeatures).flatMap(featureExamples),
  ];
}

function featureExamples({ feature, label, examples }: ReportFeature): string[] {
  if (examples.length === 0) return [];
  const lines = examples
    .slice(0, examplesPerFeature)
    .map(
      example =>
        `- ${formatActivation(example.activation)} ${passage(example)}${place(example.place)}`,
    );
  return [`### #${feature} ${token(label)}`, lines.join('\n')];
}

function improvedSection(improved: readonly ImprovedToken[]): string[] {
  if (improved.length === 0) return [];
  const rows = improved.map(found => [
    formatActivation(found.errorBefore),
    formatActivation(found.errorAfter),
    passage(found),
    found.place ? `${plainMarkdown(found.place.path)}, ${found.place.start}` : '',
  ]);
  return [
    '## Where the error shrank most',
    'Tokens of held-out domain text, with |x − x̂| of the base alone and with the residual SAE.',
    markdownTable(['base', 'boosted', 'Token', 'File, offset (UTF-16)'], rows, 'rrll'),
  ];
}

function passage({
  before,
  token: text,
  after,
}: Pick<ReportExample, 'before' | 'token' | 'after'>): string {
  const lead = /^\s+\S/.test(text) ? ' ' : '';
  return `${inline(before)}${lead}**${token(text)}**${inline(after)}`;
}

/** Context on one line, its spaces as they are. */
function inline(text: string): string {
  const edge = (found: RegExpExecArray | null): string => (found ? ' ' : '');
  return `${edge(/^\s/.exec(text))}${plainMarkdown(text.trim())}${edge(/\S\s+$/.exec(text))}`;
}

/** A token without the space around it; where it is nothing else, its signs. */
function token(text: string): string {
  return text.trim() === '' ? visibleText(text) : plainMarkdown(text.trim());
}

function place(where: TextPlace | null): string {
  return where ? ` (${plainMarkdown(where.path)}, ${where.start})` : '';
}
