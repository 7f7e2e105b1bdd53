import type { DomainState } from '../../src/contracts/panels.ts';
import { checkbox } from '../shared/controls.ts';
import { element, setText } from '../shared/dom.ts';
import { formatChange } from './metrics.ts';

/** One domain: its switch and what it adds, or why it cannot be used. */
export interface DomainRowView {
  readonly element: HTMLElement;
  update(domain: DomainState, k: number): void;
}

export function createDomainRow(
  { name, path }: DomainState,
  toggle: (on: boolean) => void,
): DomainRowView {
  const box = checkbox(name, toggle);
  box.element.title = path;
  const facts = element('span', { class: 'domainFacts dim' });
  const title = element('span', { class: 'refusedName', title: path }, element('bdi', {}, name));
  const problem = element('p', { class: 'problem' });
  const refused = element('div', { class: 'refused' }, title, problem);
  const usable = element('div', { class: 'usable' }, box.element, facts);
  return {
    element: element('li', { class: 'domain' }, usable, refused),
    update: (domain, k) => {
      const isRefused = domain.problem !== null;
      usable.hidden = isRefused;
      refused.hidden = !isRefused;
      setText(problem, domain.problem ?? '');
      box.value = domain.on;
      setText(facts, `EV ${formatChange(domain.gain)} · L0 ${domain.l0.toFixed(1)}`);
      facts.title = `By itself it changes EV at k = ${k} by ${formatChange(domain.gain)}; on the average ${domain.l0.toFixed(2)} of its features fire per token.`;
    },
  };
}
