import { formatActivation, formatChange } from '../../src/common/numbers.ts';
import type { ImprovedToken } from '../../src/contracts/boostReport.ts';
import { tokenInContext } from '../shared/context.ts';
import { element, setVariable } from '../shared/dom.ts';
import { tokenText } from '../shared/tokenText.ts';
import { placeLink, type Openers } from './reportFeatures.ts';

/** The tokens whose error |x - xhat| the residual SAE took most of away, with bars on one scale. */
export function createImprovedTable(
  improved: readonly ImprovedToken[],
  open: Openers,
): HTMLElement {
  const most = improved.reduce((max, { errorBefore }) => Math.max(max, errorBefore), 0);
  return element('ol', { class: 'improved' }, ...improved.map(found => item(found, most, open)));
}

function item(found: ImprovedToken, most: number, open: Openers): HTMLElement {
  const { before, token, after, place, errorBefore, errorAfter } = found;
  const mark = element('mark', {}, ...tokenText(token));
  const bar = element('span', {
    class: 'errorBar',
    title: `|x − x̂| ${formatActivation(errorBefore)} by the base, ${formatActivation(errorAfter)} with the residual SAE`,
  });
  setVariable(bar, '--before', `${most > 0 ? (100 * errorBefore) / most : 0}%`);
  setVariable(bar, '--after', `${errorBefore > 0 ? (100 * errorAfter) / errorBefore : 0}%`);
  return element(
    'li',
    {},
    element(
      'span',
      { class: 'amount' },
      `${formatActivation(errorBefore)} → ${formatActivation(errorAfter)}`,
    ),
    element('span', { class: 'fall' }, formatChange((errorAfter - errorBefore) / errorBefore)),
    bar,
    tokenInContext(before, mark, after),
    placeLink(place ? { place, before, token, after } : null, open),
  );
}
