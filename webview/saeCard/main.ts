import type { SaeCardHost, SaeCardState, SaeCardView } from '../../src/contracts/saeCardPanel.ts';
import { announce } from '../shared/announce.ts';
import { element } from '../shared/dom.ts';
import { keepState, openHost, readKeptState, send } from '../shared/host.ts';
import { createCardView } from './cardView.ts';
import { createTableView } from './tableView.ts';
import './main.css';

const host = openHost<SaeCardHost, SaeCardView>({
  show: state => {
    show(state);
    return null;
  },
});

const main = element('main', {});
document.body.append(main);
main.dataset['state'] = 'loading';

host.call('ready', null).then(
  state => {
    show(state);
    window.scrollTo(0, readKeptState()['scroll'] ?? 0);
  },
  (error: unknown) => {
    show({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
  },
);
document.addEventListener('scroll', () => keepState({ scroll: window.scrollY }), { passive: true });

function show(state: SaeCardState): void {
  main.dataset['state'] = state.kind;
  main.replaceChildren(...contentOf(state));
  if (state.kind === 'failed') announce(state.message);
}

function contentOf(state: SaeCardState): readonly HTMLElement[] {
  switch (state.kind) {
    case 'loading':
      return [element('p', { class: 'dim' }, 'Reading the file…')];
    case 'failed':
      return [element('p', { class: 'failure', attributes: { role: 'alert' } }, state.message)];
    case 'sae':
      return createCardView(state, () => send(host.call('use', null)));
    case 'tensors':
      return createTableView(state.table);
  }
}
