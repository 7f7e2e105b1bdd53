import { formatCount } from '../../src/common/numbers.ts';
import type { TokenMap } from '../../src/contracts/layerMapPanel.ts';
import { tokenInContext } from '../shared/context.ts';
import { element, setText } from '../shared/dom.ts';
import { iconButton } from '../shared/icons.ts';
import { tokenText } from '../shared/tokenText.ts';

/** The token under the cursor in its context, with steps to its neighbours. */
export interface TokenStrip {
  readonly element: HTMLElement;
  update(token: TokenMap): void;
  /** Moves as an arrow key does; false where the key means nothing here. */
  press(key: string): boolean;
}

export function createTokenStrip(move: (token: number) => void): TokenStrip {
  const place = element('p', { class: 'dim', attributes: { 'aria-live': 'polite' } });
  const context = element('div', { class: 'context' });
  let shown: TokenMap | undefined;
  /** Where the user is going: keys repeat faster than tokens are answered. */
  let target = 0;
  const go = (to: number): void => {
    if (!shown) return;
    const next = Math.max(0, Math.min(shown.tokens - 1, to));
    if (next === target) return;
    target = next;
    move(target);
  };
  const steps: Partial<Record<string, () => void>> = {
    ArrowLeft: () => go(target - 1),
    ArrowRight: () => go(target + 1),
    Home: () => go(0),
    End: () => go(Number.MAX_SAFE_INTEGER),
  };
  const press = (key: string): boolean => {
    const action = steps[key];
    action?.();
    return action !== undefined;
  };
  const previous = iconButton('previous', 'Previous token', () => go(target - 1));
  const next = iconButton('next', 'Next token', () => go(target + 1));
  return {
    element: element(
      'div',
      { class: 'tokenStrip' },
      element('div', { class: 'steps' }, previous, next, place),
      context,
    ),
    press,
    update: token => {
      shown = token;
      target = token.token;
      const number = `Token ${formatCount(token.token + 1)} of ${formatCount(token.tokens)}`;
      setText(place, `${number}, line ${formatCount(token.line)}`);
      const mark = element('mark', { class: 'token' }, ...tokenText(token.text));
      context.replaceChildren(tokenInContext(token.before, mark, token.after));
      previous.disabled = token.token === 0;
      next.disabled = token.token >= token.tokens - 1;
    },
  };
}
