import { formatActivation, formatCount, formatDecimal } from '../../src/common/numbers.ts';
import type { ReportExample, ReportFeature } from '../../src/contracts/boostReport.ts';
import type { PlacedToken } from '../../src/contracts/trainingPanel.ts';
import { densities } from '../../src/report/measureRows.ts';
import { tokenInContext } from '../shared/context.ts';
import { button, searchField } from '../shared/controls.ts';
import { element, setText } from '../shared/dom.ts';
import { heatToken } from '../shared/tokenHeat.ts';
import { tokenText } from '../shared/tokenText.ts';
import { link } from './listView.ts';

/** Ways out of the report. */
export interface Openers {
  readonly place: (placed: PlacedToken) => void;
  readonly feature: (feature: number) => void;
}

/** Features drawn at once; more come when asked for. */
const page = 20;

/** The new features with examples and the base's nearest ones; a field narrows them down. */
export function createFeatureList(features: readonly ReportFeature[], open: Openers): HTMLElement {
  if (features.length === 0) {
    return element('p', { class: 'dim' }, 'None fires on the held-out domain text.');
  }
  const list = element('ol', { class: 'features' });
  const count = element('p', { class: 'dim', attributes: { 'aria-live': 'polite' } });
  const more = button('Show More', () => grow(), 'secondary');
  let found = features;
  let drawn = 0;
  const grow = (): void => {
    const next = found.slice(drawn, drawn + page);
    list.append(...next.map(feature => featureItem(feature, open)));
    drawn += next.length;
    more.hidden = drawn >= found.length;
  };
  const search = (text: string): void => {
    const wanted = text.trim().toLowerCase();
    found = features.filter(feature => matches(feature, wanted));
    list.replaceChildren();
    drawn = 0;
    const number = `${formatCount(found.length)} of ${formatCount(features.length)}`;
    setText(count, wanted === '' ? allText(features.length) : `${number} features match.`);
    grow();
  };
  search('');
  return element(
    'div',
    { class: 'featureList' },
    element(
      'p',
      {},
      'Most frequent first. “Nearest” are the base’s features of the most similar decoder direction: a cosine near 1 would mean that the base had the feature already.',
    ),
    searchField('Search features', 'Search features', search).element,
    count,
    list,
    more,
  );
}

function allText(count: number): string {
  return count === 1
    ? 'One feature fires on held-out domain text.'
    : `${formatCount(count)} features fire on held-out domain text.`;
}

function matches({ feature, label, examples }: ReportFeature, wanted: string): boolean {
  const texts = [`#${feature}`, label, ...examples.map(({ token }) => token)];
  return texts.some(text => text.toLowerCase().includes(wanted));
}

function featureItem(feature: ReportFeature, open: Openers): HTMLElement {
  const { examples, maxActivation, nearest } = feature;
  const label = feature.label.trim() === '' ? 'No label' : feature.label;
  return element(
    'li',
    {},
    element(
      'h3',
      {},
      element('span', { class: 'number' }, `#${feature.feature}`),
      element('bdi', {}, ...tokenText(label.trim())),
    ),
    element('p', { class: 'dim' }, densities(feature)),
    element(
      'ul',
      { class: 'examples' },
      ...examples.map(example => exampleItem(example, maxActivation, open)),
    ),
    ...(nearest.length > 0 ? [nearestLine(nearest, open)] : []),
  );
}

function exampleItem(example: ReportExample, max: number, open: Openers): HTMLElement {
  const { before, token, after, activation, place } = example;
  const tinted = heatToken(token, activation, Math.max(max, activation));
  return element(
    'li',
    {},
    element('span', { class: 'amount' }, formatActivation(activation)),
    tokenInContext(before, tinted, after),
    placeLink(place ? { place, before, token, after } : null, open),
  );
}

function nearestLine(nearest: ReportFeature['nearest'], open: Openers): HTMLElement {
  const items = nearest.map(({ feature, cosine, label }) =>
    element(
      'li',
      {},
      link(`#${feature}`, () => open.feature(feature), `Open feature ${feature} of the base`),
      element('bdi', {}, ...tokenText(label.trim())),
      element('span', { class: 'dim' }, `cosine ${formatDecimal(cosine, 2)}`),
    ),
  );
  return element(
    'div',
    { class: 'nearest' },
    element('span', { class: 'dim' }, 'Nearest'),
    element('ul', {}, ...items),
  );
}

/** The file's name, which opens it at the token; nothing where there is no file. */
export function placeLink(placed: PlacedToken | null, open: Openers): HTMLElement {
  if (!placed) return element('span', { class: 'place' });
  const { path } = placed.place;
  const made = link(nameOf(path), () => open.place(placed), `Open the token in ${nameOf(path)}`);
  made.classList.add('place');
  made.title = path;
  return made;
}

function nameOf(path: string): string {
  return path.split(/[/\\]/).at(-1) ?? path;
}
