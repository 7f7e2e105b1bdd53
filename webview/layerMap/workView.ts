import type { Work } from '../../src/contracts/layerMapPanel.ts';
import { button } from '../shared/controls.ts';
import { element, setText } from '../shared/dom.ts';
import { createProgress } from '../shared/progress.ts';

/** Something that is asked for: what it is at, or why there is none, with a button to try again. */
export interface WorkView {
  readonly element: HTMLElement;
  update(work: Work<unknown> | { readonly kind: 'none'; readonly reason?: string }): void;
}

export function createWorkView(retry: () => void, more: readonly HTMLElement[] = []): WorkView {
  const progress = createProgress();
  const reason = element('p', { class: 'dim' });
  const failure = element('p', { class: 'failure', attributes: { role: 'alert' } });
  const again = element('div', { class: 'commands' }, button('Try Again', retry), ...more);
  const whole = element('div', { class: 'work' }, progress.element, reason, failure, again);
  return {
    element: whole,
    update: work => {
      whole.hidden = work.kind === 'ready';
      progress.element.hidden = work.kind !== 'busy';
      reason.hidden = work.kind !== 'none';
      failure.hidden = again.hidden = work.kind !== 'failed';
      if (work.kind === 'busy') progress.update(work.step, work.fraction);
      if (work.kind === 'none') setText(reason, work.reason ?? '');
      setText(failure, work.kind === 'failed' ? work.message : '');
    },
  };
}
