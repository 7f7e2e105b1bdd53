import { formatCount } from '../../src/common/numbers.ts';
import type { BoostReport } from '../../src/contracts/boostReport.ts';
import type { TrainingHost } from '../../src/contracts/trainingPanel.ts';
import type { Caller } from '../../src/messages/calls.ts';
import { button } from '../shared/controls.ts';
import { element } from '../shared/dom.ts';
import { send } from '../shared/host.ts';
import { headlineTiles } from './headlineTiles.ts';
import { createImprovedTable } from './improvedTable.ts';
import { createFeatureList } from './reportFeatures.ts';
import { variantSections } from './variantSections.ts';

/** Everything that a training's report says. */
export function createReportView(report: BoostReport, host: Caller<TrainingHost>): HTMLElement {
  const { name: domain } = report;
  const open = {
    place: (placed: TrainingHost['openPlace']['in']): void => send(host.call('openPlace', placed)),
    feature: (feature: number): void => send(host.call('openFeature', { feature })),
  };
  const commands = element(
    'div',
    { class: 'commands' },
    button('Open as Markdown', () => send(host.call('openMarkdown', { domain })), 'secondary'),
    button('Copy JSON', () => send(host.call('copyJson', { domain })), 'secondary'),
  );
  const title = element('h1', { attributes: { dir: 'auto', tabindex: '-1' } }, domain);
  return element(
    'article',
    { class: 'report', attributes: { 'aria-label': `Report of ${domain}` } },
    element('header', {}, title, commands),
    element('p', { class: 'about dim' }, about(report)),
    ...headlineTiles(report),
    variantSections(report),
    section('New features', createFeatureList(report.features, open)),
    ...(report.improved.length > 0
      ? [section('Where the error shrank most', createImprovedTable(report.improved, open))]
      : []),
    section('How this was measured', ...sources(report)),
  );
}

function section(title: string, ...content: readonly HTMLElement[]): HTMLElement {
  return element('section', {}, element('h2', {}, title), ...content);
}

function about({ model, base, width, k, trainedTokens, uniqueTokens }: BoostReport): string {
  const topK = base.k === null ? '' : ` at k = ${base.k}`;
  return (
    `${formatCount(width)} features, ${k} per token, on ${base.name}${topK} of ${model}. ` +
    `Trained on ${formatCount(trainedTokens)} tokens (${formatCount(uniqueTokens)} of text).`
  );
}

function sources({ text, convention }: BoostReport): HTMLElement[] {
  const line = (name: string, { description, files, tokens }: BoostReport['text']['domain']) =>
    element(
      'p',
      { class: 'dim', attributes: { dir: 'auto' } },
      `${name}: ${formatCount(tokens)} tokens of ${formatCount(files)} ${files === 1 ? 'file' : 'files'}; ${description}.`,
    );
  return [
    line('Domain text', text.domain),
    line('General text', text.general),
    element('p', { class: 'dim' }, convention),
  ];
}
