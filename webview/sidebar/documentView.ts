import { formatCount } from '../../src/common/numbers.ts';
import type { DocumentState, SidebarHost } from '../../src/contracts/panels.ts';
import type { Caller } from '../../src/messages/calls.ts';
import { element, setText } from '../shared/dom.ts';
import { send } from '../shared/host.ts';
import { createDomainsPanel } from './domainsPanel.ts';
import { createFeatureList } from './featureList.ts';
import { createMetricsPanel } from './metrics.ts';
import { createQueryPanel } from './queryPanel.ts';
import { createSparsityPanel } from './sparsity.ts';

/** The side bar of an analyzed document: sparsity, numbers, features. */
export interface DocumentView {
  readonly element: HTMLElement;
  update(document: DocumentState): void;
}

export function createDocumentView(host: Caller<SidebarHost>): DocumentView {
  let pinned: number | null = null;
  const sparsity = createSparsityPanel(k => host.call('setK', { k }));
  const metrics = createMetricsPanel();
  const domains = createDomainsPanel(host);
  const query = createQueryPanel(next => host.call('setQuery', next));
  const list = createFeatureList({
    pin: feature => send(host.call('pin', { feature: feature === pinned ? null : feature })),
    revealNext: feature => send(host.call('revealNext', { feature })),
    open: feature => send(host.call('openFeature', { feature })),
  });
  const name = element('bdi', { class: 'fileName' });
  const folder = element('bdi', { class: 'folder' });
  const tokens = element('span', { class: 'tokenCount' });
  const source = element('p', { class: 'source' });
  const working = element('div', {
    class: 'working',
    attributes: { role: 'progressbar', 'aria-label': 'Analyzing the rest of the document' },
  });
  return {
    element: element(
      'div',
      { class: 'document' },
      working,
      element('header', {}, element('h2', {}, name, folder, tokens), source),
      sparsity.element,
      metrics.element,
      domains.element,
      query.element,
      list.element,
    ),
    update: document => {
      pinned = document.pinned;
      working.hidden = !document.partial;
      const path = splitPath(document.fileName);
      setText(name, path.name);
      setText(folder, path.folder);
      name.title = document.fileName;
      setText(tokens, document.tokens === 1 ? '1 token' : `${formatCount(document.tokens)} tokens`);
      setText(source, `${document.model} · ${document.sae} · ${document.hook}`);
      source.title = `Model: ${document.model}\nSAE: ${document.sae}\nHook: ${document.hook}`;
      sparsity.update(document);
      metrics.update(document);
      domains.update(document);
      query.update(document.query);
      list.update(document);
    },
  };
}

/** The file's own name comes first: it is what a narrow view has room for. */
function splitPath(path: string): { name: string; folder: string } {
  const end = path.lastIndexOf('/');
  return { name: path.slice(end + 1), folder: path.slice(0, Math.max(0, end)) };
}
