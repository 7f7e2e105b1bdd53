import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';
import type { Browser, Locator, Page } from 'playwright-core';
import { Failure } from '../../src/common/failure.ts';
import type { BoostReport } from '../../src/contracts/boostReport.ts';
import type {
  TrainingHost,
  TrainingState,
  TrainingView,
} from '../../src/contracts/trainingPanel.ts';
import type { Handlers } from '../../src/messages/calls.ts';
import { boostReport } from '../fixtures/boostReport.ts';
import { bundle, launch, type Bundle } from './browser.ts';
import type { Called } from './fakeHosts.ts';
import { openPanel, type PanelPage } from './panelPage.ts';
import { trainingStates } from './trainingStates.ts';

/** The training panel of the test that runs, and what it asked of its host. */
export interface TrainingPage {
  readonly page: Page;
  readonly calls: readonly Called[];
  /** What the host gives for a domain; another one from when it is set. */
  report: BoostReport;
  /** Opens it in a state; it is closed after the test, and must not have complained. */
  open(first: TrainingState, width?: number, report?: BoostReport): Promise<void>;
  /** Sends another state to it. */
  show(next: TrainingState): Promise<void>;
  button(name: string | RegExp): Locator;
  /** All of its text. */
  seen(): Promise<string>;
  /** The text of what has the focus. */
  focused(): Promise<string>;
}

/** A training panel for the tests of a file; to be called once, where the file begins. */
export function trainingPage(): TrainingPage {
  let browser: Browser;
  let training: Bundle;
  let panel: PanelPage<TrainingView>;
  let calls: Called[] = [];
  let report = boostReport();

  before(async () => {
    [browser, training] = await Promise.all([launch(), bundle('training')]);
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
    get report() {
      return report;
    },
    set report(next) {
      report = next;
    },
    async open(first, width = 900, shown = boostReport()) {
      calls = [];
      report = shown;
      const host = fakeHost(first, { calls, report: () => report });
      panel = await openPanel<TrainingHost, TrainingView>(browser, training, host, { width });
      await panel.page.locator('main[data-state]:not([data-state="loading"])').waitFor();
    },
    async show(next) {
      await (await panel.view).call('show', next);
    },
    button: name => panel.page.getByRole('button', { name }),
    seen: () => panel.page.locator('main').innerText(),
    focused: () =>
      panel.page.evaluate(() => (document.activeElement as HTMLElement | null)?.innerText ?? ''),
  };
}

export function stateOf(name: string): TrainingState {
  const found = (trainingStates as Record<string, TrainingState>)[name];
  assert.ok(found, name);
  return found;
}

/** A host that writes down what it is asked. */
function fakeHost(
  first: TrainingState,
  { calls, report }: { readonly calls: Called[]; readonly report: () => BoostReport },
): Handlers<TrainingHost> {
  const note =
    (method: string) =>
    (input: unknown): null => {
      calls.push([method, input]);
      return null;
    };
  return {
    ready: () => first,
    train: note('train'),
    start: note('start'),
    dropPlan: note('dropPlan'),
    pause: note('pause'),
    resume: note('resume'),
    cancel: note('cancel'),
    remove: note('remove'),
    showReport: note('showReport'),
    report: ({ domain }) => {
      if (domain === 'broken') throw new Failure('bad-file', 'report.json is not a report.');
      return { ...report(), name: domain };
    },
    openMarkdown: note('openMarkdown'),
    copyJson: note('copyJson'),
    openPlace: note('openPlace'),
    openFeature: note('openFeature'),
    openSettings: note('openSettings'),
    showLayerMap: note('showLayerMap'),
    showLog: note('showLog'),
  };
}
