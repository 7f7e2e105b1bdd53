import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import type {
  FeatureHost,
  FeatureView,
  SidebarHost,
  SidebarView,
} from '../../src/contracts/panels.ts';
import type { TrainingHost, TrainingView } from '../../src/contracts/trainingPanel.ts';
import type { Handlers } from '../../src/messages/calls.ts';
import { boostReport } from '../fixtures/boostReport.ts';
import { seriousFaults } from './accessibility.ts';
import { axeSource, bundle, launch, screenshotFolder, type Bundle } from './browser.ts';
import { eventually } from './fakeHosts.ts';
import { openPanel, type PanelPage } from './panelPage.ts';
import { featureStates, sidebarStates } from './states.ts';
import { trainingStates } from './trainingStates.ts';
import { themeNames, variablesOf, type ThemeName } from './themes.ts';

let browser: Browser;
let sidebar: Bundle;
let feature: Bundle;
let training: Bundle;
let axe: string;

before(async () => {
  mkdirSync(screenshotFolder, { recursive: true });
  [browser, sidebar, feature, training, axe] = await Promise.all([
    launch(),
    bundle('sidebar'),
    bundle('feature'),
    bundle('training'),
    axeSource(),
  ]);
});

after(() => browser.close());

describe('the side bar in every theme and state', () => {
  for (const [name, state] of Object.entries(sidebarStates)) {
    it(`draws ${name}`, async () => {
      const handlers = { ready: () => state } as unknown as Handlers<SidebarHost>;
      const panel = await openPanel<SidebarHost, SidebarView>(browser, sidebar, handlers);
      await panel.page.locator(`main[data-state="${state.kind}"]`).waitFor({ state: 'attached' });
      await checkThemes(panel, `sidebar-${name}`);
      await panel.close();
    });
  }

  for (const width of [200, 600]) {
    it(`fits ${width} px`, async () => {
      const handlers = {
        ready: () => sidebarStates['analyzed'],
      } as unknown as Handlers<SidebarHost>;
      const panel = await openPanel<SidebarHost, SidebarView>(browser, sidebar, handlers, {
        width,
      });
      await panel.page.locator('.row').first().waitFor();
      await checkFit(panel.page);
      await checkThemes(panel, `sidebar-${width}px`);
      await panel.close();
    });
  }
});

describe('a theme switch while the page is open', () => {
  it('recolours curve, slider and controls without a new message', async () => {
    const handlers = { ready: () => sidebarStates['analyzed'] } as unknown as Handlers<SidebarHost>;
    const panel = await openPanel<SidebarHost, SidebarView>(browser, sidebar, handlers);
    await panel.page.locator('.row').first().waitFor();
    for (const theme of themeNames) {
      await panel.setTheme(theme);
      // The toolkit hears of it through an observer of the body.
      await eventually(async () => assert.deepEqual(await colours(panel.page), wanted(theme)));
    }
    await panel.close();
  });
});

/** The colours that a theme's variables must lead to. */
function wanted(theme: ThemeName): Record<string, string> {
  const of = (name: string): string => rgb(variablesOf[theme][name] ?? '');
  return {
    page: of('sideBar-background'),
    curve: of('charts-blue'),
    field: of('input-background'),
    number: of('input-background'),
    label: of('foreground'),
  };
}

function rgb(hex: string): string {
  const [red, green, blue] = [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16));
  return `rgb(${red}, ${green}, ${blue})`;
}

function colours(page: Page): Promise<Record<string, string>> {
  return page.evaluate(() => {
    const style = (selector: string, within: ParentNode | null | undefined = document) => {
      const found = within?.querySelector(selector);
      if (!found) throw new Error(`no ${selector}`);
      return getComputedStyle(found);
    };
    const field = document.querySelector('vscode-text-field')?.shadowRoot;
    return {
      page: style('body').backgroundColor,
      curve: style('.line').stroke,
      field: style('.root', field).backgroundColor,
      number: style('.numberField').backgroundColor,
      label: style('.rowButton[aria-pressed=false] .label').color,
    };
  });
}

describe('the feature panel in every theme and state', () => {
  for (const [name, state] of Object.entries(featureStates)) {
    it(`draws ${name}`, async () => {
      const handlers = { ready: () => state } as unknown as Handlers<FeatureHost>;
      const options = { width: 1_100, height: 900 };
      const panel = await openPanel<FeatureHost, FeatureView>(browser, feature, handlers, options);
      await panel.page.locator(`main[data-state="${state.kind}"]`).waitFor({ state: 'attached' });
      await checkThemes(panel, `feature-${name}`);
      await panel.close();
    });
  }

  it('fits 360 px', async () => {
    const handlers = { ready: () => featureStates['feature'] } as unknown as Handlers<FeatureHost>;
    const panel = await openPanel<FeatureHost, FeatureView>(browser, feature, handlers, {
      width: 360,
    });
    await panel.page.locator('.examples').waitFor();
    await checkFit(panel.page);
    await checkThemes(panel, 'feature-360px');
    await panel.close();
  });
});

describe('the training panel in every theme and state', () => {
  const open = async (name: string, width: number): Promise<PanelPage<TrainingView>> => {
    const handlers = {
      ready: () => trainingStates[name],
      report: () => boostReport(),
    } as unknown as Handlers<TrainingHost>;
    const options = { width, height: 900 };
    const panel = await openPanel<TrainingHost, TrainingView>(browser, training, handlers, options);
    await panel.page.locator('main[data-state]:not([data-state="loading"])').waitFor();
    if (name === 'report') await panel.page.locator('.improved').waitFor();
    return panel;
  };

  for (const name of Object.keys(trainingStates)) {
    it(`draws ${name}`, async () => {
      const panel = await open(name, 900);
      await checkThemes(panel, `training-${name}`);
      await panel.close();
    });
  }

  for (const name of ['plan', 'running', 'report']) {
    it(`fits 360 px: ${name}`, async () => {
      const panel = await open(name, 360);
      await checkFit(panel.page);
      await checkThemes(panel, `training-${name}-360px`);
      await panel.close();
    });
  }
});

/** In every theme: no policy violation, no serious accessibility fault, and a screenshot for people. */
async function checkThemes(
  panel: PanelPage<SidebarView> | PanelPage<FeatureView> | PanelPage<TrainingView>,
  name: string,
): Promise<void> {
  await panel.page.evaluate(axe);
  for (const theme of themeNames) {
    await panel.setTheme(theme);
    await panel.page.screenshot({
      path: path.join(screenshotFolder, `${name}-${theme}.png`),
      fullPage: true,
    });
    assert.deepEqual(await seriousFaults(panel.page), [], `${name} in ${theme}`);
  }
  assert.deepEqual(panel.complaints, [], name);
}

/** Nothing is wider than the view. */
async function checkFit(page: Page): Promise<void> {
  const overflow = await page.evaluate(() => {
    const wide = document.documentElement.clientWidth;
    return document.documentElement.scrollWidth - wide;
  });
  assert.equal(overflow, 0, 'the page scrolls sideways');
}
