import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import type { SidebarHost, SidebarState, SidebarView } from '../../src/contracts/panels.ts';
import { bundle, launch, type Bundle } from './browser.ts';
import { fakeSidebarHost, type FakeHost } from './fakeHosts.ts';
import { openPanel, type PanelPage } from './panelPage.ts';

/** The side bar of the test that runs, and the host that it speaks with. */
export interface SidebarPage {
  readonly page: Page;
  readonly panel: PanelPage<SidebarView>;
  readonly host: FakeHost<SidebarHost, SidebarState>;
  /** Opens it in a state; it is closed after the test, and must not have complained. */
  open(state: SidebarState): Promise<void>;
  /** Opens it where the host fails to answer. */
  openWithout(ready: () => never): Promise<void>;
  /** Sends another state to it. */
  show(state: SidebarState): Promise<void>;
}

/** A side bar for the tests of a file; to be called once, where the file begins. */
export function sidebarPage(): SidebarPage {
  let browser: Browser;
  let sidebar: Bundle;
  let host: FakeHost<SidebarHost, SidebarState>;
  let panel: PanelPage<SidebarView>;

  before(async () => {
    [browser, sidebar] = await Promise.all([launch(), bundle('sidebar')]);
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
    get panel() {
      return panel;
    },
    get host() {
      return host;
    },
    async open(state) {
      host = fakeSidebarHost(state);
      panel = await openPanel<SidebarHost, SidebarView>(browser, sidebar, host.handlers);
      await panel.page.locator(`main[data-state="${state.kind}"]`).waitFor();
    },
    async openWithout(ready) {
      host = fakeSidebarHost({ kind: 'busy', step: '', fraction: null });
      const handlers = { ...host.handlers, ready };
      panel = await openPanel<SidebarHost, SidebarView>(browser, sidebar, handlers);
    },
    async show(state) {
      host.state = state;
      await (await panel.view).call('show', state);
    },
  };
}
