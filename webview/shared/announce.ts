import { element, setText } from './dom.ts';

let region: HTMLElement | undefined;

/** Says a sentence to screen readers without moving the focus. */
export function announce(sentence: string): void {
  region ??= document.body.appendChild(
    element('div', { class: 'unseen', attributes: { 'aria-live': 'polite', role: 'status' } }),
  );
  setText(region, sentence);
}
