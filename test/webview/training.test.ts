import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
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
import { eventually, type Called } from './fakeHosts.ts';
import { openPanel, type PanelPage } from './panelPage.ts';
import { hostile } from './states.ts';
import { job, progress, readyPlan, state, trainingStates } from './trainingStates.ts';

let browser: Browser;
let training: Bundle;
let panel: PanelPage<TrainingView>;
let page: Page;
let calls: Called[];
let report: BoostReport;

before(async () => {
  [browser, training] = await Promise.all([launch(), bundle('training')]);
});
after(() => browser.close());
afterEach(async () => {
  const { complaints } = panel;
  await panel.close();
  assert.deepEqual(complaints, []);
});

/** A host that writes down what it is asked. */
function fakeHost(first: TrainingState): Handlers<TrainingHost> {
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
      return { ...report, name: domain };
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

async function open(
  first: TrainingState,
  width = 900,
  shown: BoostReport = boostReport(),
): Promise<void> {
  calls = [];
  report = shown;
  panel = await openPanel<TrainingHost, TrainingView>(browser, training, fakeHost(first), {
    width,
  });
  page = panel.page;
  await page.locator('main[data-state]:not([data-state="loading"])').waitFor();
}

async function show(next: TrainingState): Promise<void> {
  await (await panel.view).call('show', next);
}

const states = trainingStates as Record<string, TrainingState>;
const stateOf = (name: string): TrainingState => {
  const found = states[name];
  assert.ok(found, name);
  return found;
};
const button = (name: string | RegExp) => page.getByRole('button', { name });
const seen = async (): Promise<string> => page.locator('main').innerText();

describe('the training panel before a training', () => {
  it('says what to do, and does it', async () => {
    await open(stateOf('empty'));
    assert.match(await seen(), /Teach the SAE your domain/);
    await button('Train Residual SAE on Workspace').click();
    await eventually(() => assert.deepEqual(calls, [['train', null]]));
  });

  it('offers nothing where nothing can be trained', async () => {
    await open(stateOf('obstacle'));
    assert.match(await seen(), /Open a folder first/);
    assert.equal(await page.getByRole('button').count(), 0);
  });

  it('shows how reading goes, then the plan', async () => {
    await open(stateOf('reading'));
    assert.match(await seen(), /Reading 142 files\s+40 %/);
    await show(state({ plan: readyPlan() }));
    const text = await seen();
    for (const fact of [
      /142 \(2\.9 MB\)/,
      /655,360 tokens/,
      /41,216 tokens in 14 files/,
      /120 Markdown/,
    ])
      assert.match(text, fact);
    assert.match(text, /Below 100 million/);
    assert.match(text, /3\.0 passes over the text/);
    assert.match(text, /about 4 min on this machine/);
    await page.getByText('38 files were skipped').click();
    assert.match(await seen(), /31: not text/);
  });

  it('changes tokens and remedy, and starts with them, by keyboard alone', async () => {
    await open(state({ plan: readyPlan() }));
    const tokens = page.getByRole('spinbutton', { name: 'Training tokens' });
    await tokens.focus();
    await page.keyboard.press('Control+A');
    await page.keyboard.type('655360');
    assert.match(await seen(), /one pass over the text[\s\S]*about 3 min on/);
    await page.keyboard.press('Tab');
    assert.match(await focused(), /^Mix in general text: 25 %/);
    await page.keyboard.press('Space');
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'Start Training');
    await page.keyboard.press('Enter');
    await eventually(() =>
      assert.deepEqual(calls, [['start', { tokens: 655_360, mixGeneral: 0.25 }]]),
    );
  });

  it('keeps what was typed while snapshots of another training arrive', async () => {
    await open(state({ plan: readyPlan(), jobs: [job()] }));
    const tokens = page.getByRole('spinbutton', { name: 'Training tokens' });
    await tokens.fill('1000000');
    await show(state({ plan: readyPlan(), jobs: [job({ fraction: 0.64 })] }));
    assert.equal(await tokens.inputValue(), '1000000');
    await tokens.fill('0');
    assert.equal(await tokens.getAttribute('aria-invalid'), 'true');
    await button('Start Training').click({ force: true });
    await button(/^Cancel$/).click();
    await eventually(() => assert.deepEqual(calls, [['dropPlan', null]]));
  });

  it('knows what of the time depends on the tokens', async () => {
    const plan = { ...readyPlan().plan, tokens: 100_000, seconds: 600, secondsPerToken: 0.0006 };
    const choice = { tokens: 100_000, mixGeneral: 0 };
    await open(state({ plan: readyPlan({ plan, choice }) }));
    assert.match(await seen(), /about 10 min on/);
    await page.getByRole('spinbutton', { name: 'Training tokens' }).fill('300000');
    assert.match(await seen(), /about 12 min on/);
  });

  it('counts the second training and the general text of a mixed one', async () => {
    const { corpus } = readyPlan().plan;
    const plan = {
      corpus: { ...corpus, tokens: 60_000 },
      tokens: 100_000,
      seconds: 600,
      secondsPerToken: 0.0006,
      secondsPerTextToken: 0.003,
    };
    const choice = { tokens: 100_000, mixGeneral: 0 };
    await open(state({ plan: readyPlan({ plan, choice }) }));
    await page.getByRole('checkbox', { name: /Mix in general text/ }).click();
    // 600 s, 60 s of steps, and 20,000 tokens of general text in 60 s.
    await eventually(async () => assert.match(await seen(), /about 12 min on/));
  });

  it('takes the share of general text from the settings', async () => {
    await open(state({ plan: readyPlan({ choice: { tokens: 1_000, mixGeneral: 0.4 } }) }));
    assert.ok(await page.getByRole('checkbox', { name: /40 %/ }).isChecked());
    await button('Start Training').click();
    await eventually(() =>
      assert.deepEqual(calls, [['start', { tokens: 1_000, mixGeneral: 0.4 }]]),
    );
  });

  it('says why there is no plan', async () => {
    await open(stateOf('planFailed'));
    assert.match(await page.getByRole('alert').innerText(), /812 tokens/);
    assert.equal(await button('Start Training').count(), 0);
    await button('Show Log').click();
    await eventually(() => assert.deepEqual(calls, [['showLog', null]]));
  });
});

async function focused(): Promise<string> {
  return page.evaluate(() => (document.activeElement as HTMLElement | null)?.innerText ?? '');
}

describe('the training panel while something trains', () => {
  it('shows phase, numbers and curves with the base to compare with', async () => {
    await open(stateOf('running'));
    const text = await seen();
    for (const fact of [
      /Training · 63 %/,
      /step 298 of 480 · on WebGPU · about 1 min left/,
      /903 of 1,024/,
    ])
      assert.match(text, fact);
    assert.match(text, /12 %[\s\S]*1,220,608[\s\S]*21,437/);
    assert.match(text, /went on from its checkpoint/);
    const readouts = await page.locator('.charts .plotReadout').allInnerTexts();
    assert.deepEqual(readouts.slice(1), ['0.831 · base 0.780', '0.856 · base 0.857']);
    assert.equal(await page.locator('.phases [aria-current="step"]').innerText(), 'training');
    assert.match(text, /russian\s+queued/);
  });

  it('is read with the arrow keys', async () => {
    await open(stateOf('running'));
    await page.getByRole('img', { name: /^Loss/ }).focus();
    await page.keyboard.press('Home');
    const readout = page.locator('.charts .plotReadout').first();
    assert.equal(await readout.innerText(), 'step 3: 850');
  });

  it('pauses, resumes and cancels; the focus stays where it was while numbers change', async () => {
    await open(state({ jobs: [job()] }));
    await button('Pause').focus();
    await show(state({ jobs: [job({ progress: progress({ step: 299 }) })] }));
    assert.equal(await focused(), 'Pause');
    await page.keyboard.press('Enter');
    await show(stateOf('paused'));
    assert.match(await seen(), /Paused at 63 %/);
    await button('Resume').click();
    await button('Cancel Training').click();
    await button('Cancel the training of russian').click();
    await eventually(() =>
      assert.deepEqual(calls, [
        ['pause', { id: 'a1' }],
        ['resume', { id: 'a1' }],
        ['cancel', { id: 'a1' }],
        ['cancel', { id: 'b2' }],
      ]),
    );
  });

  it('announces phases and ends, not numbers', async () => {
    await open(state({ jobs: [job()] }));
    const live = page.locator('.unseen[role=status]');
    assert.equal(await live.textContent(), 'chemistry: training');
    await page.evaluate(() => {
      const region = document.querySelector('.unseen[role=status]');
      const global = globalThis as unknown as { said: string[] };
      global.said = [];
      if (region)
        new MutationObserver(() => global.said.push(region.textContent)).observe(region, {
          childList: true,
          characterData: true,
          subtree: true,
        });
    });
    for (let step = 300; step < 320; step++)
      await show(state({ jobs: [job({ progress: progress({ step }) })] }));
    await show(state({ jobs: [job({ progress: progress({ phase: 'measuring' }) })] }));
    await show(stateOf('failed'));
    await eventually(async () =>
      assert.deepEqual(
        await page.evaluate(() => (globalThis as unknown as { said: string[] }).said),
        ['chemistry: measuring', 'chemistry: failed'],
      ),
    );
  });

  it('says what failed and offers to resume', async () => {
    await open(stateOf('failed'));
    assert.match(await page.getByRole('alert').innerText(), /disk is full/);
    await button('Resume').click();
    await button('Remove').click();
    await eventually(() =>
      assert.deepEqual(calls, [
        ['resume', { id: 'a1' }],
        ['remove', { id: 'a1' }],
      ]),
    );
  });

  it('draws a training of which nothing is known yet', async () => {
    await open(stateOf('starting'));
    assert.match(await seen(), /Starting the trainer/);
    assert.equal(await page.getByText('not measured yet').count(), 3);
  });
});

describe('the report', () => {
  it('begins with what changed', async () => {
    await open(stateOf('report'));
    const tiles = await page.locator('.headline').innerText();
    assert.match(tiles, /EV, domain text\s+\+7\.7 %\s+0\.780 → 0\.840/);
    assert.match(tiles, /ΔCE, domain text\s+−42 %\s+0\.190 → 0\.110/);
    assert.match(tiles, /EV, general text\s+−0\.12 %\s+0\.857 → 0\.856/);
    assert.match(await seen(), /training russian, 21 %/);
  });

  it('gives the figures of the variant in use, and says which it is', async () => {
    const { variants, ...rest } = boostReport();
    const calibrated = variants.map(variant => ({
      ...variant,
      folder: variant.name === 'calibrated' ? '.' : variant.name,
    }));
    await open(stateOf('report'), 900, { ...rest, variants: calibrated });
    assert.match(await page.locator('.headline').innerText(), /EV, domain text\s+\+6\.5 %/);
    const marked = await page.locator('.useMark').locator('..').allInnerTexts();
    assert.deepEqual(marked, [
      'Calibrated · in use',
      'Calibrated: threshold set against general text · in use',
    ]);
    assert.equal(await page.locator('.variant[open]').count(), 1);
    assert.match(await page.locator('.variant[open]').innerText(), /^Calibrated/);
  });

  it('has base and boosted of every variant, and of other sets of domains', async () => {
    await open(stateOf('report'));
    const summary = page.getByRole('table').first().getByRole('row');
    assert.deepEqual(await summary.nth(3).getByRole('cell').allInnerTexts(), [
      ...['+6.5 %', '−36 %', '−0.01 %', '+0.09 %'],
    ]);
    for (const title of [/^Calibrated/, /^Mixed/])
      await page.locator('summary', { hasText: title }).click();
    const tables = page.locator('.variant').getByRole('table');
    assert.equal(await tables.count(), 6);
    const rows = tables.first().getByRole('row');
    assert.deepEqual(await rows.nth(2).getByRole('cell').allInnerTexts(), [
      ...['0.780', '0.840', '+7.7 %'],
      ...['0.857', '0.856', '−0.12 %'],
    ]);
    const names = await tables.first().getByRole('rowheader').allInnerTexts();
    assert.deepEqual(names, [
      ...['EV', 'ΔCE', 'CE', 'CE, clean', 'CE, zero', 'CE score', 'L0', 'of it residual'],
    ]);
    for (const sentence of report.variants.map(({ description }) => description))
      assert.ok((await seen()).includes(sentence), sentence);
  });

  it('opens places, features of the base, Markdown and JSON', async () => {
    await open(stateOf('report'));
    await button('Open the token in lecture-1.md').first().click();
    await button('Open feature 4021 of the base').click();
    await page.locator('.improved').getByRole('button').first().click();
    await button('Open as Markdown').click();
    await button('Copy JSON').click();
    await button('← Trainings').click();
    await eventually(() =>
      assert.deepEqual(
        calls.map(([method]) => method),
        ['openPlace', 'openFeature', 'openPlace', 'openMarkdown', 'copyJson', 'showReport'],
      ),
    );
    assert.deepEqual(calls[0]?.[1], {
      place: { path: '/workspace/notes/organic/lecture-1.md', start: 120 },
      before: 'the alcohol is ',
      token: 'oxid',
      after: 'ised to the ketone with PCC in dry',
    });
    assert.deepEqual(calls[5]?.[1], { domain: null });
  });

  it('draws many features a page at a time, and finds them', async () => {
    await open(state({ reports: ['many'] }));
    const [first] = report.features;
    assert.ok(first);
    const features = Array.from({ length: 1_000 }, (_, i) => ({
      ...first,
      feature: i,
      label: i === 777 ? ' aldehyde' : ' ketone',
    }));
    report = boostReport({ features });
    await show(state({ reports: ['many'], shown: { domain: 'many', stamp: 2 } }));
    const items = page.locator('.features > li');
    await items.first().waitFor();
    assert.equal(await items.count(), 20);
    await button('Show More').click();
    assert.equal(await items.count(), 40);
    await page.getByRole('textbox', { name: 'Search features' }).fill('aldehyde');
    await eventually(async () => assert.equal(await items.count(), 1));
    assert.match(await seen(), /1 of 1,000 features match/);
    assert.equal(await button('Show More').count(), 0);
  });

  it('stays as it is while another training reports its progress', async () => {
    await open(stateOf('report'));
    await page.locator('.features > li').first().waitFor();
    await page.evaluate(() => window.scrollTo(0, 900));
    await button('Open feature 4021 of the base').focus();
    await show({ ...stateOf('report'), jobs: [job({ fraction: 0.7 })] });
    assert.match(await seen(), /training chemistry, 70 %/);
    assert.match(await focused(), /#4021/);
    assert.ok((await page.evaluate(() => window.scrollY)) > 800);
  });

  it('says what is wrong with a report that cannot be read', async () => {
    await open(state({ reports: ['broken'], shown: { domain: 'broken', stamp: 1 } }));
    await page.getByText('report.json is not a report').waitFor();
  });

  it('shows hostile text as text', async () => {
    await open(stateOf('empty'));
    report = boostReport({
      convention: hostile.markup,
      features: boostReport().features.map(feature => ({ ...feature, label: hostile.script })),
    });
    await show(state({ reports: ['x'], shown: { domain: hostile.markup, stamp: 3 } }));
    await page.locator('.features > li').first().waitFor();
    assert.equal(await page.evaluate(() => 'harmed' in globalThis), false);
    assert.equal(await page.evaluate(() => document.images.length), 0);
  });
});
