import type {
  LayerMapHost,
  LayerMapState,
  LayerMapView,
} from '../../src/contracts/layerMapPanel.ts';
import { button, checkbox } from '../shared/controls.ts';
import { element } from '../shared/dom.ts';
import { keepState, openHost, readKeptState, send } from '../shared/host.ts';
import { createCircuitsTab } from './circuitsTab.ts';
import { createCollapseTab } from './collapseTab.ts';
import { createCopyTools } from './copyTools.ts';
import { createDocumentTab } from './documentTab.ts';
import { createHeadsTab } from './headsTab.ts';
import { createLayersTab } from './layersTab.ts';
import { createModelHeader } from './modelHeader.ts';
import type { PageActions, PageState, TabView } from './page.ts';
import { createRouteBar } from './routeBar.ts';
import { createTabs } from './tabs.ts';
import { createTokenTab } from './tokenTab.ts';
import { createWorkView } from './workView.ts';
import './main.css';

const host = openHost<LayerMapHost, LayerMapView>({
  show: change => {
    if (state) show({ ...state, ...change });
    return null;
  },
});

let state: LayerMapState | undefined;

const actions: PageActions = {
  host,
  select: route => send(host.call('selectRoute', { route })),
  redraw: () => draw(),
  say: sentence => routeBar.say(sentence),
};
const views: readonly TabView[] = [
  createLayersTab(actions),
  createHeadsTab(actions),
  createDocumentTab(actions),
  createTokenTab(actions),
  createCircuitsTab(actions),
  createCollapseTab(actions),
];
const header = createModelHeader(actions);
const command = (label: string, name: 'chooseModel' | 'showLog'): HTMLElement =>
  button(label, () => send(host.call('run', { command: name })), 'secondary');
const work = createWorkView(
  () => send(host.call('retry', { part: 'map' })),
  [command('Choose Model', 'chooseModel'), command('Show Log', 'showLog')],
);
const subtract = checkbox('Subtract initial', () => draw());
const root = checkbox('Square-root colours', () => draw());
const copies = createCopyTools(host);
const caution = element(
  'p',
  { class: 'caution' },
  'Rows sum to 1, so deeper rows have smaller cells: compare colours along a row, not across rows.',
);
const routeBar = createRouteBar(actions);
const panels = views.map(view => {
  const panel = element('div', { class: 'panel' }, view.element);
  return { id: view.id, label: view.label, panel };
});
const tabs = createTabs(panels, index => {
  keepState({ tab: index });
  send(host.call('watchDocument', { on: views[index]?.ofDocument ?? false }));
  draw();
});
const tools = element(
  'div',
  { class: 'tools' },
  element('div', { class: 'switches' }, subtract.element, root.element),
  copies.element,
);
const maps = element(
  'div',
  { class: 'mapArea' },
  tabs.element,
  tools,
  ...panels.map(({ panel }) => panel),
  caution,
  routeBar.element,
);
const main = element('main', {}, header.element, work.element, maps);
main.dataset['state'] = 'loading';
maps.hidden = work.element.hidden = true;
document.body.append(main);

host.call('ready', null).then(
  first => {
    state = first;
    tabs.show(Math.min(readKeptState()['tab'] ?? 0, views.length - 1));
    show(first);
  },
  (error: unknown) => {
    main.dataset['state'] = 'failed';
    work.update({
      kind: 'failed',
      message: error instanceof Error ? error.message : String(error),
    });
  },
);

function show(next: LayerMapState): void {
  state = next;
  draw();
}

function draw(): void {
  if (!state) return;
  const { map, routers } = state;
  main.dataset['state'] = map.kind;
  work.update(map);
  maps.hidden = map.kind !== 'ready';
  header.update(map.kind === 'ready' ? map.value : undefined, routers);
  if (map.kind !== 'ready') return;
  const page: PageState = { map: map.value, state, subtract: subtract.value, root: root.value };
  const view = views[tabs.shown];
  routeBar.say('');
  view?.update(page);
  const copied = view?.copies(page) ?? null;
  routeBar.update(page, copied !== null);
  routeBar.element.hidden = view?.withoutRoute === true;
  copies.update(copied);
  tools.hidden = caution.hidden = copied === null;
}
