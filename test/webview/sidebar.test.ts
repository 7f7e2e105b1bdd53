import assert from 'node:assert/strict';
import { after, before, beforeEach, afterEach, describe, it } from 'node:test';
import type { Browser, Locator, Page } from 'playwright-core';
import type { SidebarHost, SidebarState, SidebarView } from '../../src/contracts/panels.ts';
import { bundle, launch, type Bundle } from './browser.ts';
import { documentOf, eventually, fakeSidebarHost, type FakeHost } from './fakeHosts.ts';
import { openPanel, type PanelPage } from './panelPage.ts';
import { analyzed, boosted, boostedEvByK, domains, evByK, featureRows, hostile } from './states.ts';

let browser: Browser;
let sidebar: Bundle;
let host: FakeHost<SidebarHost, SidebarState>;
let panel: PanelPage<SidebarView>;
let page: Page;

before(async () => {
  [browser, sidebar] = await Promise.all([launch(), bundle('sidebar')]);
});

after(() => browser.close());

async function open(state: SidebarState): Promise<void> {
  host = fakeSidebarHost(state);
  panel = await openPanel<SidebarHost, SidebarView>(browser, sidebar, host.handlers);
  page = panel.page;
  await page.locator(`main[data-state="${state.kind}"]`).waitFor();
}

async function show(state: SidebarState): Promise<void> {
  host.state = state;
  await (await panel.view).call('show', state);
}

afterEach(async () => {
  const { complaints } = panel;
  await panel.close();
  assert.deepEqual(complaints, []);
});

describe('the sparsity slider', () => {
  const slider = (): Locator => page.getByRole('slider', { name: 'Sparsity (k)' });
  const sent = (): unknown[] => host.inputs('setK').map(input => (input as { k: number }).k);

  beforeEach(() => open(analyzed({ k: 32 })));

  it('sends each value of the keyboard once', async () => {
    await slider().focus();
    const expected: number[] = [];
    for (const [key, k] of [
      ['ArrowRight', 33],
      ['ArrowLeft', 32],
      ['Home', 1],
      ['ArrowLeft', undefined],
      ['ArrowUp', 2],
      ['End', 64],
      ['ArrowRight', undefined],
    ] as const) {
      await page.keyboard.press(key);
      if (k !== undefined) expected.push(k);
      await eventually(() => assert.deepEqual(sent(), expected));
    }
  });

  it('moves by a page of several values', async () => {
    await slider().focus();
    await page.keyboard.press('PageDown');
    await eventually(() => assert.equal(sent().length, 1));
    const [k] = sent() as number[];
    assert.ok(k !== undefined && k < 31 && k > 20, `PageDown went from 32 to ${k}`);
  });

  it('sends what the pointer passes over, live, never the same value twice in a row', async () => {
    const box = await slider().boundingBox();
    assert.ok(box);
    const middle = box.y + box.height / 2;
    await page.mouse.move(box.x + box.width / 2, middle);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width - 1, middle, { steps: 12 });
    await eventually(() => assert.equal(sent().at(-1), 64));
    assert.ok(sent().length > 2, 'values are sent while the button is down');
    assert.deepEqual(
      sent().filter((k, i) => k === sent()[i - 1]),
      [],
    );
    await page.mouse.up();
    assert.equal(await slider().inputValue(), '64');
  });

  it('stays under the pointer when an older snapshot arrives', async () => {
    const box = await slider().boundingBox();
    assert.ok(box);
    await page.mouse.move(box.x + 2, box.y + box.height / 2);
    await page.mouse.down();
    await eventually(() => assert.equal(sent().at(-1), 1));
    await show(analyzed({ k: 32 }));
    assert.equal(await slider().inputValue(), '1');
    await page.mouse.up();
    await show(analyzed({ k: 20 }));
    assert.equal(await slider().inputValue(), '20');
  });

  it('takes a typed number and keeps it within 1 and the largest k', async () => {
    const field = page.getByRole('spinbutton', { name: 'Sparsity (k)' });
    await field.fill('7');
    await field.press('Enter');
    await eventually(() => assert.deepEqual(sent(), [7]));
    await field.fill('999');
    await field.press('Enter');
    await eventually(() => assert.deepEqual(sent(), [7, 64]));
    assert.equal(await field.inputValue(), '64');
    assert.equal(await slider().inputValue(), '64');
  });

  it('shows the numbers of the snapshot at the new k, and their conventions', async () => {
    await show(analyzed({ k: 4 }));
    const l0 = page.getByRole('group', { name: /^L0/ });
    const ev = page.getByRole('group', { name: /^EV/ });
    assert.match((await l0.textContent()) ?? '', /^L03\.9/);
    assert.match((await ev.textContent()) ?? '', new RegExp(`^EV${(evByK[3] ?? 0).toFixed(3)}`));
    const describedBy = (await ev.getAttribute('aria-describedby')) ?? '';
    const convention = (await page.locator(`#${describedBy}`).textContent()) ?? '';
    assert.match(convention, /1 − Σ\|x − x̂\|² \/ Σ\|x − mean\(x\)\|².*4 of 1,204 tokens/);
    assert.equal(await ev.getAttribute('title'), convention);
  });

  it('reads the curve under the pointer and by the arrow keys', async () => {
    const plot = page.getByRole('img', { name: /^EV by k/ });
    const readout = page.locator('.sparsity .plotReadout');
    const value = (k: number): string => `k = ${k}: ${(evByK[k - 1] ?? 0).toFixed(3)}`;
    assert.equal(await readout.textContent(), value(32));
    const box = await plot.boundingBox();
    assert.ok(box);
    await plot.hover({ position: { x: box.width - 1, y: 10 } });
    assert.equal(await readout.textContent(), value(64));
    await page.mouse.move(0, 0);
    assert.equal(await readout.textContent(), value(32));
    await plot.focus();
    await page.keyboard.press('ArrowRight');
    assert.equal(await readout.textContent(), value(33));
    assert.equal(await page.locator('[aria-live=polite].unseen').textContent(), value(33));
    assert.deepEqual(sent(), [], 'reading the curve sets nothing');
  });
});

describe('the domains', () => {
  const box = (name: string): Locator => page.getByRole('checkbox', { name });
  const says = async (locator: Locator): Promise<string> => (await locator.textContent()) ?? '';

  it('says what to do where there is none, and offers it', async () => {
    await open(analyzed());
    const section = page.getByRole('region', { name: 'Domains' });
    assert.match(await says(section), /residual SAE adds/);
    await section.getByRole('button', { name: 'Train Residual SAE on Workspace' }).click();
    await section.getByRole('button', { name: 'Add a residual SAE…' }).click();
    await eventually(() =>
      assert.deepEqual(host.inputs('run'), [
        { command: 'trainResidual' },
        { command: 'addDomain' },
      ]),
    );
    assert.equal(await box('Compare').count(), 0);
  });

  it('switches each by keyboard, and keeps the focus when the answer comes', async () => {
    await open(boosted());
    assert.deepEqual(
      [await box('chemistry').isChecked(), await box('proceedings').isChecked()],
      [true, false],
    );
    await box('chemistry').focus();
    await page.keyboard.press('Space');
    const off = { path: '/d/chemistry', on: false };
    await eventually(() => assert.deepEqual(host.inputs('setDomain'), [off]));
    await show(boosted({ domains: domains.map((d, i) => (i === 0 ? { ...d, on: false } : d)) }));
    assert.equal(await box('chemistry').isChecked(), false);
    await page.keyboard.press('Space');
    await eventually(() =>
      assert.deepEqual(host.inputs('setDomain'), [off, { path: '/d/chemistry', on: true }]),
    );
  });

  it('says why one cannot be used, and has no switch for it', async () => {
    await open(boosted());
    assert.equal(await box('law').count(), 0);
    assert.match(await says(page.locator('.refused:visible')), /law.*no residual SAE for small/);
  });

  it('shows EV and L0 of the base and with the domains', async () => {
    await open(boosted({ k: 8 }));
    const [with_, base] = [boostedEvByK[7] ?? 0, evByK[7] ?? 0].map(ev => ev.toFixed(3));
    const ev = page.getByRole('group', { name: `EV ${with_} (base ${base})` });
    assert.match(await says(ev), /Σê/);
    const l0 = page.getByRole('group', { name: 'L0 13.0 (7.8 + 5.1)' });
    assert.match(await says(l0), /7\.8 of the base and 5\.1 of the domains/);
    const readout = page.locator('.sparsity .plotReadout');
    assert.equal(await says(readout), `k = 8: ${with_}, base ${base}`);
    assert.equal(
      await page.locator('.sparsity path.otherLine').getAttribute('d').then(Boolean),
      true,
    );
    await show(analyzed({ k: 8 }));
    assert.equal(await says(readout), `k = 8: ${base}`);
    assert.equal(await page.locator('.sparsity path.otherLine').getAttribute('d'), '');
  });

  it('compares, with a legend that says how far the tints reach', async () => {
    await open(boosted());
    const legend = page.getByRole('note', { name: 'Tints of the comparison' });
    assert.equal(await legend.count(), 0);
    await box('Compare').click();
    await eventually(() => assert.deepEqual(host.inputs('setCompare'), [{ on: true }]));
    await show(boosted({ compared: { shrunk: 0.34, grown: 0.021 } }));
    assert.equal(await box('Compare').isChecked(), true);
    assert.equal(await says(legend), 'error shrinks, at most −34 %grows, at most +2.1 %');
    assert.deepEqual(host.inputs('setCompare'), [{ on: true }]);
  });

  it('marks their features in the list and names them by their domain', async () => {
    await open(boosted());
    const row = page.getByRole('row').nth(1);
    assert.equal(await says(row.locator('.number')), '1');
    assert.equal(await says(row.locator('.domainMark')), '+ chemistry');
    await row.getByRole('button', { name: 'Open feature 1 of chemistry' }).click();
    await eventually(() => assert.deepEqual(host.inputs('openFeature'), [{ feature: 8_193 }]));
    assert.equal(await page.locator('.domainMark img').count(), 0);
  });

  it('draws a row anew where its number now stands for another feature', async () => {
    await open(boosted());
    const rows = documentOf(host.state).rows.map(row =>
      row.domain === 'chemistry' ? { ...row, domain: 'law' } : row,
    );
    await show(boosted({ rows }));
    assert.equal(await says(page.getByRole('row').nth(1).locator('.domainMark')), '+ law');
    assert.equal(await page.getByRole('row').count(), 60);
  });

  it('says where an SAE may fire more features than are kept', async () => {
    await open(analyzed({ k: 64, capped: 12 }));
    const l0 = page.getByRole('group', { name: /^L0 62\.7 \(at most 64\)/ });
    assert.match(await says(l0), /on 12 tokens more may fire/);
  });
});

describe('the query', () => {
  beforeEach(() => open(analyzed()));

  it('sends the search as it is typed, and keeps text and focus when the answer comes', async () => {
    await page.getByRole('textbox', { name: 'Search features' }).click();
    await page.keyboard.type('river');
    const query = { search: 'river', sort: 'strongest', hideDense: false } as const;
    await eventually(() => assert.deepEqual(host.inputs('setQuery').at(-1), query));
    await show(analyzed({ query, rows: featureRows(3), matching: 3 }));
    await page.keyboard.type('s');
    await eventually(() =>
      assert.deepEqual(host.inputs('setQuery').at(-1), { ...query, search: 'rivers' }),
    );
  });

  it('sends the sort order and the dense switch', async () => {
    await page.getByRole('combobox', { name: 'Sort features' }).click();
    await page.getByRole('option', { name: 'Rarest' }).click();
    await eventually(() =>
      assert.deepEqual(host.inputs('setQuery'), [{ search: '', sort: 'rarest', hideDense: false }]),
    );
    await page.getByRole('checkbox', { name: 'Hide dense' }).click();
    await eventually(() =>
      assert.deepEqual(host.inputs('setQuery').at(-1), {
        search: '',
        sort: 'rarest',
        hideDense: true,
      }),
    );
  });

  it('follows the host without sending anything back', async () => {
    await show(analyzed({ query: { search: 'the', sort: 'mostTokens', hideDense: true } }));
    // The toolkit's controls draw what they are given a turn later.
    await eventually(async () => {
      const search = page.getByRole('textbox', { name: 'Search features' });
      assert.equal(await search.inputValue(), 'the');
      assert.ok(await page.getByRole('checkbox', { name: 'Hide dense' }).isChecked());
    });
    await show(analyzed({ k: 3 }));
    assert.deepEqual(host.inputs('setQuery'), []);
  });
});

describe('the feature list', () => {
  const features = featureRows(60).map(({ feature }) => feature);
  const focused = (): Promise<string> =>
    page.evaluate(
      () => document.activeElement?.closest('.row')?.querySelector('.number')?.textContent ?? '',
    );

  beforeEach(() => open(analyzed()));

  it('pins on a click and unpins on the second', async () => {
    await page.locator('.rowButton').nth(1).click();
    await eventually(() => assert.deepEqual(host.inputs('pin'), [{ feature: features[1] }]));
    await show(analyzed({ pinned: features[1] ?? null }));
    const row = page.getByRole('row').nth(1);
    assert.equal(await row.getAttribute('aria-selected'), 'true');
    assert.equal(await row.locator('.rowButton').getAttribute('aria-pressed'), 'true');
    await page.locator('.rowButton').nth(1).click();
    await eventually(() => assert.deepEqual(host.inputs('pin').at(-1), { feature: null }));
  });

  it('is one stop for Tab and walked by the arrow keys', async () => {
    assert.equal(await page.locator('.rowButton[tabindex="0"]').count(), 1);
    await page.locator('.rowButton').first().focus();
    for (const [key, row] of [
      ['ArrowDown', 1],
      ['ArrowDown', 2],
      ['ArrowUp', 1],
      ['End', 59],
      ['ArrowDown', 59],
      ['PageUp', 49],
      ['Home', 0],
      ['ArrowUp', 0],
    ] as const) {
      await page.keyboard.press(key);
      assert.equal(await focused(), `${features[row]}`, key);
    }
    await page.keyboard.press('Enter');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Space');
    await eventually(() =>
      assert.deepEqual(host.inputs('pin'), [{ feature: features[0] }, { feature: features[1] }]),
    );
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    await eventually(() => {
      assert.deepEqual(host.inputs('revealNext'), [{ feature: features[1] }]);
      assert.deepEqual(host.inputs('openFeature'), [{ feature: features[1] }]);
    });
  });

  it('keeps focus and scrolling when the rows come in another order', async () => {
    await page.locator('.rowButton').nth(40).focus();
    const scroller = page.locator('.scroller');
    const top = await scroller.evaluate(e => e.scrollTop);
    assert.ok(top > 0, 'the 41st row lies below the fold');
    const { rows } = documentOf(host.state);
    const last = rows.at(-1);
    assert.ok(last);
    await show(analyzed({ rows: [last, ...rows.slice(0, -1)] }));
    assert.equal(await focused(), `${features[40]}`);
    assert.equal(await scroller.evaluate(e => e.scrollTop), top);
    assert.equal(
      await page.getByRole('row').first().locator('.number').textContent(),
      `${features[59]}`,
    );
  });

  it('comes back where it was when the view is shown anew', async () => {
    await page.locator('.rowButton').nth(40).focus();
    const top = await page.locator('.scroller').evaluate(e => e.scrollTop);
    await eventually(async () =>
      assert.match(
        (await page.evaluate(() => sessionStorage.getItem('state'))) ?? '',
        /listScroll/,
      ),
    );
    await page.reload();
    await panel.setTheme('dark');
    await page.getByRole('row').first().waitFor();
    await eventually(async () =>
      assert.equal(await page.locator('.scroller').evaluate(e => e.scrollTop), top),
    );
    const reachable = page.locator('.rowButton[tabindex="0"] .number');
    assert.equal(await reachable.textContent(), `${features[40]}`);
  });

  it('shows hostile labels as text', async () => {
    const texts = await page.locator('.rowButton .label').allTextContents();
    assert.ok(texts.includes(hostile.markup));
    assert.ok(texts.includes('abc\\u{202e}def\\u{202c}'));
    const page_ = await page.evaluate(() => ({
      images: document.images.length,
      harmed: 'harmed' in globalThis,
      turned: /[\u202A-\u202E]/.test(document.body.textContent),
    }));
    assert.deepEqual(page_, { images: 0, harmed: false, turned: false });
  });
});

describe('states without an analysis', () => {
  it('offers to analyze the document', async () => {
    await open({ kind: 'empty', reason: 'notAnalyzed' });
    await page.getByRole('button', { name: 'Analyze Document' }).click();
    await eventually(() => assert.deepEqual(host.inputs('run'), [{ command: 'analyzeDocument' }]));
  });

  it('says what failed and offers the commands', async () => {
    await open({
      kind: 'failed',
      message: 'The engine has ended.',
      action: 'Restart it.',
      commands: ['restartEngine', 'showLog'],
    });
    assert.equal(await page.getByRole('alert').textContent(), 'The engine has ended.');
    await page.getByRole('button', { name: 'Show Log' }).click();
    await eventually(() => assert.deepEqual(host.inputs('run'), [{ command: 'showLog' }]));
  });

  it('shows progress, then the document, and keeps the list meanwhile', async () => {
    await open({ kind: 'busy', step: 'Loading the model', fraction: 0.25 });
    assert.equal(await page.getByRole('progressbar').getAttribute('value'), '0.25');
    await show(analyzed());
    await page.locator('.rowButton').nth(2).focus();
    await show({ kind: 'busy', step: 'Analyzing', fraction: null });
    assert.equal(await page.getByRole('progressbar').getAttribute('value'), null);
    await show(analyzed());
    assert.equal(await page.getByRole('row').count(), 60);
  });

  it('says when the host cannot answer', async () => {
    host = fakeSidebarHost({ kind: 'busy', step: '', fraction: null });
    const ready = (): never => {
      throw new Error('No host today.');
    };
    panel = await openPanel<SidebarHost, SidebarView>(browser, sidebar, {
      ...host.handlers,
      ready,
    });
    page = panel.page;
    await eventually(async () =>
      assert.equal(await page.getByRole('alert').textContent(), 'No host today.'),
    );
  });
});
