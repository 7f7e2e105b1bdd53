import { formatActivation, formatCount } from '../../src/common/numbers.ts';
import type { FeatureCard, FeatureExample } from '../../src/contracts/engine.ts';
import type { FeatureHere } from '../../src/contracts/panels.ts';
import { tokenInContext } from '../shared/context.ts';
import { element } from '../shared/dom.ts';
import { heatToken, tokenHeat } from '../shared/tokenHeat.ts';

/** The reference corpus' passages on which the feature fires, on one colour scale. */
export function exampleList({ examples, maxActivation }: FeatureCard): HTMLElement {
  if (examples.length === 0) {
    return element(
      'p',
      { class: 'dim' },
      'No passage of the reference corpus is kept for this feature.',
    );
  }
  return element(
    'ol',
    { class: 'examples' },
    ...examples.map(example => exampleItem(example, maxActivation)),
  );
}

function exampleItem({ tokens, activations, source }: FeatureExample, max: number): HTMLElement {
  const peak = activations.reduce((most, activation) => Math.max(most, activation), 0);
  return element(
    'li',
    {},
    element(
      'span',
      { class: 'amount', title: 'Largest activation in this passage' },
      formatActivation(peak),
    ),
    element(
      'div',
      {},
      tokenHeat(tokens, activations, max),
      element('p', { class: 'origin dim', title: source }, element('bdi', {}, source)),
    ),
  );
}

/** The open document's tokens on which the feature fires, strongest first. */
export function hereList(
  here: readonly FeatureHere[],
  max: number,
  reveal: (start: number) => void,
): HTMLElement {
  if (here.length === 0) {
    return element('p', { class: 'dim' }, 'It fires nowhere in the open document at this k.');
  }
  return element(
    'ol',
    { class: 'here' },
    ...here.map(({ start, line, before, token, after, activation }) =>
      element(
        'li',
        {},
        element('span', { class: 'amount' }, formatActivation(activation)),
        lineLink(line, () => reveal(start)),
        tokenInContext(before, heatToken(token, activation, Math.max(max, activation)), after),
      ),
    ),
  );
}

function lineLink(line: number, reveal: () => void): HTMLElement {
  const link = element(
    'button',
    { class: 'line', title: 'Select it in the document' },
    `line ${formatCount(line)}`,
  );
  link.addEventListener('click', reveal);
  return link;
}
