import { formatActivation, formatCount, formatPercent, isKnown } from '../../src/common/numbers.ts';
import type { FeatureState } from '../../src/contracts/panels.ts';
import { button } from '../shared/controls.ts';
import { element, setText } from '../shared/dom.ts';
import { iconButton } from '../shared/icons.ts';
import { tokenText } from '../shared/tokenText.ts';

/** What the panel shows of one feature. */
export type ShownFeature = Extract<FeatureState, { kind: 'feature' }>;

/** Which feature it is, with the ways to others and the pin. */
export interface Header {
  readonly element: HTMLElement;
  update(shown: ShownFeature): void;
  /** Goes that many features on, where there is one. */
  step(by: number): void;
}

export interface HeaderActions {
  go(feature: number): void;
  pin(feature: number | null): void;
}

export function createHeader(actions: HeaderActions): Header {
  let shown: ShownFeature | undefined;
  /** To a number within the SAE of the feature that is shown. */
  const goTo = (number: number): void => {
    if (!shown || !Number.isInteger(number) || number === numberOf(shown)) return;
    if (number >= 0 && number < shown.features) actions.go(shown.first + number);
  };
  const step = (by: number): void => {
    if (shown) goTo(numberOf(shown) + by);
  };
  const previous = iconButton('previous', 'Previous feature (left arrow)', () => step(-1));
  const next = iconButton('next', 'Next feature (right arrow)', () => step(1));
  const number = element('input', {
    class: 'numberField',
    title: 'Go to a feature by number',
    attributes: { type: 'number', min: '0', step: '1', 'aria-label': 'Feature number' },
  });
  number.addEventListener('change', () => {
    goTo(number.valueAsNumber);
    if (shown) number.value = numberOf(shown).toString();
  });
  const count = element('span', { class: 'dim' });
  const pin = button(
    'Pin',
    () => {
      if (shown) actions.pin(shown.pinned ? null : shown.card.feature);
    },
    'secondary',
  );
  const label = element('h1', { attributes: { dir: 'auto' } });
  const facts = element('p', { class: 'facts dim' });
  return {
    element: element(
      'header',
      {},
      element('div', { class: 'where' }, previous, number, next, count, pin),
      label,
      facts,
    ),
    step,
    update: state => {
      const moved = !shown || numberOf(state) !== numberOf(shown) || state.sae !== shown.sae;
      shown = state;
      const { card, features, pinned } = state;
      const now = numberOf(state);
      if (moved) number.value = now.toString();
      number.max = (features - 1).toString();
      previous.disabled = now <= 0;
      next.disabled = now >= features - 1;
      const of = state.isDomain ? ` of ${state.sae}` : '';
      setText(count, `of ${formatCount(features)}${of}`);
      setText(pin, pinned ? 'Unpin' : 'Pin');
      pin.title = pinned
        ? 'The open document is tinted by this feature'
        : 'Tint the open document by this feature';
      label.replaceChildren(...tokenText(card.label === '' ? 'No label' : card.label));
      label.classList.toggle('dim', card.label === '');
      setText(facts, factsOf(state));
    },
  };
}

/** Within its SAE. */
function numberOf({ card, first }: ShownFeature): number {
  return card.feature - first;
}

function factsOf(shown: ShownFeature): string {
  const { card, sae, isDomain } = shown;
  const density = !isKnown(card.density)
    ? 'density unknown'
    : `fires on ${formatPercent(card.density)} of tokens`;
  const source = isDomain ? `the domain ${sae}` : sae;
  return `Feature ${numberOf(shown)} of ${source} · ${density} · at most ${formatActivation(card.maxActivation)}`;
}
