import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';
import type { Browser, Locator, Page } from 'playwright-core';
import type {
  LayerMapHost,
  LayerMapState,
  LayerMapView,
} from '../../src/contracts/layerMapPanel.ts';
import type { Handlers } from '../../src/messages/calls.ts';
import { bundle, launch, type Bundle } from './browser.ts';
import type { Called } from './fakeHosts.ts';
import { openPanel, type PanelPage } from './panelPage.ts';

/** The layer map panel of the test that runs, and what it asked of its host. */
export interface LayerMapPage extends Pick<PanelPage<LayerMapView>, 'setTheme'> {
  readonly page: Page;
  readonly calls: readonly Called[];
  /** Opens it in a state, at a tab by its number; it is closed after the test, and must not have complained. */
  open(first: LayerMapState, tab?: number, width?: number): Promise<void>;
  /** Sends parts of another state to it. */
  show(change: Partial<LayerMapState>): Promise<void>;
  cells(): Locator;
  cell(name: RegExp): Locator;
  readout(): Locator;
  /** What was asked by a method, call by call. */
  of(method: string): unknown[];
}

/** A layer map panel for the tests of a file; to be called once, where the file begins. */
export function layerMapPage(): LayerMapPage {
  let browser: Browser;
  let script: Bundle;
  let panel: PanelPage<LayerMapView>;
  let calls: Called[] = [];

  before(async () => {
    [browser, script] = await Promise.all([launch(), bundle('layerMap')]);
  });
  after(() => browser.close());
  afterEach(async () => {
    const { complaints } = panel;
    await panel.close();
    assert.deepEqual(complaints, []);
  });

  return {
    get page() {
      return panel.page;
    },
    get calls() {
      return calls;
    },
    async open(first, tab = 0, width = 1000) {
      calls = [];
      const host = fakeHost(first, calls);
      const options = { width, height: 900 };
      panel = await openPanel<LayerMapHost, LayerMapView>(browser, script, host, options);
      await panel.page.locator('main[data-state]:not([data-state="loading"])').waitFor();
      if (first.map.kind === 'ready') await panel.page.getByRole('tab').nth(tab).click();
    },
    async show(change) {
      await (await panel.view).call('show', change);
    },
    setTheme: theme => panel.setTheme(theme),
    cells: () => panel.page.locator('.panel:not([hidden]) .principal [role=gridcell]'),
    cell: name => panel.page.locator('.principal').getByRole('gridcell', { name }),
    readout: () => panel.page.locator('.readout'),
    of: method => calls.filter(([called]) => called === method).map(([, input]) => input),
  };
}

function fakeHost(first: LayerMapState, calls: Called[]): Handlers<LayerMapHost> {
  const note =
    (method: string) =>
    (input: unknown): null => {
      calls.push([method, input]);
      return null;
    };
  return {
    ready: () => first,
    watchDocument: note('watchDocument'),
    retry: note('retry'),
    chooseRouters: note('chooseRouters'),
    run: note('run'),
    selectRoute: note('selectRoute'),
    setTint: note('setTint'),
    moveToken: note('moveToken'),
    findCircuits: note('findCircuits'),
    cancelCircuits: note('cancelCircuits'),
    openCircuit: note('openCircuit'),
    measureCollapse: note('measureCollapse'),
    cancelCollapse: note('cancelCollapse'),
    compareCollapse: note('compareCollapse'),
    copyText: note('copyText'),
    saveImage: note('saveImage'),
  };
}
