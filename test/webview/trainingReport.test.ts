import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { boostReport } from '../fixtures/boostReport.ts';
import { eventually } from './fakeHosts.ts';
import { hostile } from './states.ts';
import { stateOf, trainingPage } from './trainingPage.ts';
import { job, state } from './trainingStates.ts';

const panel = trainingPage();

describe('the report', () => {
  it('begins with what changed', async () => {
    await panel.open(stateOf('report'));
    const tiles = await panel.page.locator('.headline').innerText();
    assert.match(tiles, /EV, domain text\s+\+7\.7 %\s+0\.780 → 0\.840/);
    assert.match(tiles, /ΔCE, domain text\s+−42 %\s+0\.190 → 0\.110/);
    assert.match(tiles, /EV, general text\s+−0\.12 %\s+0\.857 → 0\.856/);
    assert.match(await panel.seen(), /training russian, 21 %/);
  });

  it('gives the figures of the variant in use, and says which it is', async () => {
    const { variants, ...rest } = boostReport();
    const calibrated = variants.map(variant => ({
      ...variant,
      folder: variant.name === 'calibrated' ? '.' : variant.name,
    }));
    await panel.open(stateOf('report'), 900, { ...rest, variants: calibrated });
    assert.match(await panel.page.locator('.headline').innerText(), /EV, domain text\s+\+6\.5 %/);
    const marked = await panel.page.locator('.useMark').locator('..').allInnerTexts();
    assert.deepEqual(marked, [
      'Calibrated · in use',
      'Calibrated: threshold set against general text · in use',
    ]);
    assert.equal(await panel.page.locator('.variant[open]').count(), 1);
    assert.match(await panel.page.locator('.variant[open]').innerText(), /^Calibrated/);
  });

  it('has base and boosted of every variant, and of other sets of domains', async () => {
    await panel.open(stateOf('report'));
    const summary = panel.page.getByRole('table').first().getByRole('row');
    assert.deepEqual(await summary.nth(3).getByRole('cell').allInnerTexts(), [
      ...['+6.5 %', '−36 %', '−0.01 %', '+0.09 %'],
    ]);
    for (const title of [/^Calibrated/, /^Mixed/])
      await panel.page.locator('summary', { hasText: title }).click();
    const tables = panel.page.locator('.variant').getByRole('table');
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
    for (const sentence of panel.report.variants.map(({ description }) => description))
      assert.ok((await panel.seen()).includes(sentence), sentence);
  });

  it('opens places, features of the base, Markdown and JSON', async () => {
    await panel.open(stateOf('report'));
    await panel.button('Open the token in lecture-1.md').first().click();
    await panel.button('Open feature 4021 of the base').click();
    await panel.page.locator('.improved').getByRole('button').first().click();
    await panel.button('Open as Markdown').click();
    await panel.button('Copy JSON').click();
    await panel.button('← Trainings').click();
    await eventually(() =>
      assert.deepEqual(
        panel.calls.map(([method]) => method),
        ['openPlace', 'openFeature', 'openPlace', 'openMarkdown', 'copyJson', 'showReport'],
      ),
    );
    assert.deepEqual(panel.calls[0]?.[1], {
      place: { path: '/workspace/notes/organic/lecture-1.md', start: 120 },
      before: 'the alcohol is ',
      token: 'oxid',
      after: 'ised to the ketone with PCC in dry',
    });
    assert.deepEqual(panel.calls[5]?.[1], { domain: null });
  });

  it('draws many features a page at a time, and finds them', async () => {
    await panel.open(state({ reports: ['many'] }));
    const [first] = panel.report.features;
    assert.ok(first);
    const features = Array.from({ length: 1_000 }, (_, i) => ({
      ...first,
      feature: i,
      label: i === 777 ? ' aldehyde' : ' ketone',
    }));
    panel.report = boostReport({ features });
    await panel.show(state({ reports: ['many'], shown: { domain: 'many', stamp: 2 } }));
    const items = panel.page.locator('.features > li');
    await items.first().waitFor();
    assert.equal(await items.count(), 20);
    await panel.button('Show More').click();
    assert.equal(await items.count(), 40);
    await panel.page.getByRole('textbox', { name: 'Search features' }).fill('aldehyde');
    await eventually(async () => assert.equal(await items.count(), 1));
    assert.match(await panel.seen(), /1 of 1,000 features match/);
    assert.equal(await panel.button('Show More').count(), 0);
  });

  it('stays as it is while another training reports its progress', async () => {
    await panel.open(stateOf('report'));
    await panel.page.locator('.features > li').first().waitFor();
    await panel.page.evaluate(() => window.scrollTo(0, 900));
    await panel.button('Open feature 4021 of the base').focus();
    await panel.show({ ...stateOf('report'), jobs: [job({ fraction: 0.7 })] });
    assert.match(await panel.seen(), /training chemistry, 70 %/);
    assert.match(await panel.focused(), /#4021/);
    assert.ok((await panel.page.evaluate(() => window.scrollY)) > 800);
  });

  it('says what is wrong with a report that cannot be read', async () => {
    await panel.open(state({ reports: ['broken'], shown: { domain: 'broken', stamp: 1 } }));
    await panel.page.getByText('report.json is not a report').waitFor();
  });

  it('shows hostile text as text', async () => {
    await panel.open(stateOf('empty'));
    panel.report = boostReport({
      convention: hostile.markup,
      features: boostReport().features.map(feature => ({ ...feature, label: hostile.script })),
    });
    await panel.show(state({ reports: ['x'], shown: { domain: hostile.markup, stamp: 3 } }));
    await panel.page.locator('.features > li').first().waitFor();
    assert.equal(await panel.page.evaluate(() => 'harmed' in globalThis), false);
    assert.equal(await panel.page.evaluate(() => document.images.length), 0);
  });
});
