import type { SidebarHost, SidebarState, SidebarView } from '../../src/contracts/panels.ts';
import { element } from '../shared/dom.ts';
import { openHost, send } from '../shared/host.ts';
import { createProgress } from '../shared/progress.ts';
import { createDocumentView } from './documentView.ts';
import { createNotice } from './notice.ts';
import './main.css';

const host = openHost<SidebarHost, SidebarView>({
  show: state => {
    show(state);
    return null;
  },
});

// The document's view is made once and only hidden meanwhile, so that focus and scrolling outlast a re-analysis.
const documentView = createDocumentView(host);
const progress = createProgress();
const notices = element('div');
const main = element('main', { class: 'sidebar' }, progress.element, notices, documentView.element);
document.body.append(main);
show({ kind: 'busy', step: 'Starting…', fraction: null });
host.call('ready', null).then(show, (error: unknown) => {
  const message = error instanceof Error ? error.message : String(error);
  show({ kind: 'failed', message, action: null, commands: ['showLog'] });
});

function show(state: SidebarState): void {
  main.dataset['state'] = state.kind;
  progress.element.hidden = state.kind !== 'busy';
  documentView.element.hidden = state.kind !== 'analyzed';
  notices.replaceChildren();
  switch (state.kind) {
    case 'busy':
      progress.update(state.step, state.fraction);
      break;
    case 'analyzed':
      documentView.update(state.document);
      break;
    case 'empty':
    case 'failed':
      notices.replaceChildren(createNotice(state, command => send(host.call('run', { command }))));
      break;
    default:
      state satisfies never;
  }
}
