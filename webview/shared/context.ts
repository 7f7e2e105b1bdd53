import { element } from './dom.ts';
import { tokenText } from './tokenText.ts';

/** Characters of context shown on either side of a token. */
const longest = 80;

/** A token between the ends of its context that are nearest to it. */
export function tokenInContext(before: string, token: HTMLElement, after: string): HTMLElement {
  return element(
    'p',
    { class: 'passage', attributes: { dir: 'auto' } },
    ...tokenText(endOf(before)),
    token,
    ...tokenText(startOf(after)),
  );
}

function endOf(text: string): string {
  const characters = Array.from(text);
  return characters.length > longest ? `…${characters.slice(-longest).join('')}` : text;
}

function startOf(text: string): string {
  const characters = Array.from(text);
  return characters.length > longest ? `${characters.slice(0, longest).join('')}…` : text;
}
