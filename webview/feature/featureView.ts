import type { FeatureHost } from '../../src/contracts/panels.ts';
import type { Caller } from '../../src/messages/calls.ts';
import { element, setText } from '../shared/dom.ts';
import { createHistogram } from '../shared/histogram.ts';
import { send } from '../shared/host.ts';
import { createHeader, type ShownFeature } from './header.ts';
import { exampleList, hereList } from './passages.ts';
import { promotedTable, suppressedTable, topTokensTable } from './tokenTables.ts';

/** One feature: what it fires on, what it does to the prediction, and where it fires here. */
export interface FeatureView {
  readonly element: HTMLElement;
  update(shown: ShownFeature): void;
  /** Whether another feature is on its way: this one stays readable meanwhile. */
  setStale(stale: boolean): void;
  step(by: number): void;
}

export function createFeatureView(host: Caller<FeatureHost>): FeatureView {
  const reveal = (start: number): void => send(host.call('reveal', { start }));
  const header = createHeader({
    go: feature => send(host.call('go', { feature })),
    pin: feature => send(host.call('pin', { feature })),
  });
  const histogram = createHistogram('Activations');
  const tokens = element('div', { class: 'tables' });
  const here = element('div');
  const examples = element('div');
  const convention = element('p', { class: 'convention dim' });
  const hereSection = section('In this document', here);
  const view = element(
    'div',
    { class: 'feature' },
    header.element,
    element('div', { class: 'numbers' }, histogram.element, tokens),
    element('div', { class: 'texts' }, hereSection, section('In the reference corpus', examples)),
    convention,
  );
  return {
    element: view,
    step: by => header.step(by),
    setStale: stale => {
      view.classList.toggle('stale', stale);
      view.setAttribute('aria-busy', stale.toString());
    },
    update: shown => {
      const { card } = shown;
      header.update(shown);
      histogram.update(card.histogram, card.maxActivation);
      tokens.replaceChildren(topTokensTable(card), promotedTable(card), suppressedTable(card));
      here.replaceChildren(hereList(shown.here, card.maxActivation, reveal));
      examples.replaceChildren(exampleList(card));
      setText(convention, card.convention);
    },
  };
}

function section(title: string, content: HTMLElement): HTMLElement {
  return element('section', {}, element('h2', {}, title), content);
}
