import { element, setText } from './dom.ts';

/** A step of work under way with its progress; without a fraction the bar runs on its own. */
export interface ProgressView {
  readonly element: HTMLElement;
  update(step: string, fraction: number | null): void;
}

export function createProgress(): ProgressView {
  const bar = element('progress', { attributes: { max: '1', 'aria-label': 'Progress' } });
  const step = element('p', { attributes: { role: 'status' } });
  const percent = element('span', { class: 'percent' });
  return {
    element: element(
      'div',
      { class: 'busy' },
      bar,
      element('div', { class: 'busyText' }, step, percent),
    ),
    update: (text, fraction) => {
      setText(step, text);
      if (fraction === null) bar.removeAttribute('value');
      else bar.value = fraction;
      setText(percent, fraction === null ? '' : `${Math.floor(100 * fraction)} %`);
    },
  };
}
