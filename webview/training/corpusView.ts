import { formatCount } from '../../src/common/numbers.ts';
import type { BoostPlan } from '../../src/contracts/trainer.ts';
import type { PlanState } from '../../src/contracts/trainingPanel.ts';
import { element } from '../shared/dom.ts';

/** What the trainer warns of: too little text above all. */
export function warnings({ corpus }: BoostPlan): readonly HTMLElement[] {
  return corpus.warnings.map(({ message }) => element('p', { class: 'warning' }, message));
}

/** How much text there is, and how it is divided. */
export function corpusFacts({ folders, plan }: Extract<PlanState, { kind: 'ready' }>): HTMLElement {
  const { corpus } = plan;
  const formats = Object.entries(corpus.formats)
    .sort(([, a], [, b]) => b - a)
    .map(([format, files]) => `${formatCount(files)} ${format}`);
  const facts: (readonly [name: string, value: string])[] = [
    [folders.length === 1 ? 'Folder' : 'Folders', folders.join(', ')],
    ['Files', `${formatCount(corpus.files)} (${formatSize(corpus.bytes)})`],
    ['To train on', `${formatCount(corpus.tokens)} tokens`],
    ['Held out', heldOut(corpus)],
  ];
  if (formats.length > 0) facts.push(['Formats', formats.join(', ')]);
  if (corpus.duplicates > 0) facts.push(['Duplicates left out', formatCount(corpus.duplicates)]);
  return element(
    'dl',
    { class: 'facts' },
    ...facts.flatMap(([name, value]) => [
      element('dt', {}, name),
      element('dd', { attributes: { dir: 'auto' } }, value),
    ]),
  );
}

function heldOut({ heldOutFiles, heldOutTokens, split }: BoostPlan['corpus']): string {
  const tokens = `${formatCount(heldOutTokens)} tokens`;
  return split === 'files'
    ? `${tokens} in ${formatCount(heldOutFiles)} ${heldOutFiles === 1 ? 'file' : 'files'}`
    : `${tokens} in ${split} of ${heldOutFiles === 1 ? 'the file' : 'the files'}`;
}

/** What was left out and why, behind a line that says how much. */
export function skippedFiles({ corpus: { skipped } }: BoostPlan): HTMLElement {
  const total = skipped.reduce((sum, { count }) => sum + count, 0);
  if (total === 0) return element('p', { class: 'dim' }, 'No file was skipped.');
  const rows = skipped.map(({ reason, count, examples }) =>
    element(
      'li',
      {},
      element('span', {}, `${formatCount(count)}: ${reason}`),
      element('p', { class: 'dim examples', attributes: { dir: 'auto' } }, examples.join(', ')),
    ),
  );
  return element(
    'details',
    {},
    element(
      'summary',
      {},
      `${formatCount(total)} ${total === 1 ? 'file was' : 'files were'} skipped`,
    ),
    element('ul', { class: 'skipped' }, ...rows),
  );
}

function formatSize(bytes: number): string {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
