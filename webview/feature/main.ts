import type { FeatureHost, FeatureState, FeatureView } from '../../src/contracts/panels.ts';
import { announce } from '../shared/announce.ts';
import { element, setText } from '../shared/dom.ts';
import { keepState, openHost, readKeptState } from '../shared/host.ts';
import { createProgress } from '../shared/progress.ts';
import { createFeatureView } from './featureView.ts';
import './main.css';

const host = openHost<FeatureHost, FeatureView>({
  show: state => {
    show(state);
    return null;
  },
});

const view = createFeatureView(host);
const progress = createProgress();
const failure = element('p', { class: 'failure', attributes: { role: 'alert' } });
/** The number of the feature on the page; undefined before the first. */
let feature: number | undefined;
const main = element('main', {}, progress.element, failure, view.element);
document.body.append(main);
show({ kind: 'busy' });
host.call('ready', null).then(show, (error: unknown) => {
  show({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
});

document.addEventListener('keydown', event => {
  if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.target instanceof HTMLInputElement) return;
  if (event.key === 'ArrowLeft') view.step(-1);
  if (event.key === 'ArrowRight') view.step(1);
});
document.addEventListener('scroll', () => keepState({ scroll: window.scrollY }), { passive: true });

function show(state: FeatureState): void {
  main.dataset['state'] = state.kind;
  progress.element.hidden = state.kind !== 'busy';
  failure.hidden = state.kind !== 'failed';
  view.element.hidden = feature === undefined && state.kind !== 'feature';
  view.setStale(state.kind !== 'feature');
  switch (state.kind) {
    case 'busy':
      progress.update(feature === undefined ? 'Loading the feature…' : '', null);
      break;
    case 'failed':
      setText(failure, state.message);
      break;
    case 'feature': {
      view.update(state);
      const before = feature;
      feature = state.card.feature;
      keepState({ feature });
      if (before === undefined) window.scrollTo(0, readKeptState()['scroll'] ?? 0);
      else if (before !== feature)
        announce(`Feature ${feature - state.first} of ${state.sae}, ${state.card.label}`);
      break;
    }
    default:
      state satisfies never;
  }
}
