import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { documentOf, eventually } from './fakeHosts.ts';
import { sidebarPage } from './sidebarPage.ts';
import { analyzed, featureRows, hostile } from './states.ts';

const sidebar = sidebarPage();

describe('the query', () => {
  beforeEach(() => sidebar.open(analyzed()));

  it('sends the search as it is typed, and keeps text and focus when the answer comes', async () => {
    await sidebar.page.getByRole('textbox', { name: 'Search features' }).click();
    await sidebar.page.keyboard.type('river');
    const query = { search: 'river', sort: 'strongest', hideDense: false } as const;
    await eventually(() => assert.deepEqual(sidebar.host.inputs('setQuery').at(-1), query));
    await sidebar.show(analyzed({ query, rows: featureRows(3), matching: 3 }));
    await sidebar.page.keyboard.type('s');
    await eventually(() =>
      assert.deepEqual(sidebar.host.inputs('setQuery').at(-1), { ...query, search: 'rivers' }),
    );
  });

  it('sends the sort order and the dense switch', async () => {
    await sidebar.page.getByRole('combobox', { name: 'Sort features' }).click();
    await sidebar.page.getByRole('option', { name: 'Rarest' }).click();
    await eventually(() =>
      assert.deepEqual(sidebar.host.inputs('setQuery'), [
        { search: '', sort: 'rarest', hideDense: false },
      ]),
    );
    await sidebar.page.getByRole('checkbox', { name: 'Hide dense' }).click();
    await eventually(() =>
      assert.deepEqual(sidebar.host.inputs('setQuery').at(-1), {
        search: '',
        sort: 'rarest',
        hideDense: true,
      }),
    );
  });

  it('follows the host without sending anything back', async () => {
    await sidebar.show(analyzed({ query: { search: 'the', sort: 'mostTokens', hideDense: true } }));
    // The toolkit's controls draw what they are given a turn later.
    await eventually(async () => {
      const search = sidebar.page.getByRole('textbox', { name: 'Search features' });
      assert.equal(await search.inputValue(), 'the');
      assert.ok(await sidebar.page.getByRole('checkbox', { name: 'Hide dense' }).isChecked());
    });
    await sidebar.show(analyzed({ k: 3 }));
    assert.deepEqual(sidebar.host.inputs('setQuery'), []);
  });
});

describe('the feature list', () => {
  const features = featureRows(60).map(({ feature }) => feature);
  const focused = (): Promise<string> =>
    sidebar.page.evaluate(
      () => document.activeElement?.closest('.row')?.querySelector('.number')?.textContent ?? '',
    );

  beforeEach(() => sidebar.open(analyzed()));

  it('pins on a click and unpins on the second', async () => {
    await sidebar.page.locator('.rowButton').nth(1).click();
    await eventually(() =>
      assert.deepEqual(sidebar.host.inputs('pin'), [{ feature: features[1] }]),
    );
    await sidebar.show(analyzed({ pinned: features[1] ?? null }));
    const row = sidebar.page.getByRole('row').nth(1);
    assert.equal(await row.getAttribute('aria-selected'), 'true');
    assert.equal(await row.locator('.rowButton').getAttribute('aria-pressed'), 'true');
    await sidebar.page.locator('.rowButton').nth(1).click();
    await eventually(() => assert.deepEqual(sidebar.host.inputs('pin').at(-1), { feature: null }));
  });

  it('is one stop for Tab and walked by the arrow keys', async () => {
    assert.equal(await sidebar.page.locator('.rowButton[tabindex="0"]').count(), 1);
    await sidebar.page.locator('.rowButton').first().focus();
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
      await sidebar.page.keyboard.press(key);
      assert.equal(await focused(), `${features[row]}`, key);
    }
    await sidebar.page.keyboard.press('Enter');
    await sidebar.page.keyboard.press('ArrowDown');
    await sidebar.page.keyboard.press('Space');
    await eventually(() =>
      assert.deepEqual(sidebar.host.inputs('pin'), [
        { feature: features[0] },
        { feature: features[1] },
      ]),
    );
    await sidebar.page.keyboard.press('ArrowRight');
    await sidebar.page.keyboard.press('Enter');
    await sidebar.page.keyboard.press('ArrowRight');
    await sidebar.page.keyboard.press('Enter');
    await eventually(() => {
      assert.deepEqual(sidebar.host.inputs('revealNext'), [{ feature: features[1] }]);
      assert.deepEqual(sidebar.host.inputs('openFeature'), [{ feature: features[1] }]);
    });
  });

  it('keeps focus and scrolling when the rows come in another order', async () => {
    await sidebar.page.locator('.rowButton').nth(40).focus();
    const scroller = sidebar.page.locator('.scroller');
    const top = await scroller.evaluate(e => e.scrollTop);
    assert.ok(top > 0, 'the 41st row lies below the fold');
    const { rows } = documentOf(sidebar.host.state);
    const last = rows.at(-1);
    assert.ok(last);
    await sidebar.show(analyzed({ rows: [last, ...rows.slice(0, -1)] }));
    assert.equal(await focused(), `${features[40]}`);
    assert.equal(await scroller.evaluate(e => e.scrollTop), top);
    assert.equal(
      await sidebar.page.getByRole('row').first().locator('.number').textContent(),
      `${features[59]}`,
    );
  });

  it('comes back where it was when the view is shown anew', async () => {
    await sidebar.page.locator('.rowButton').nth(40).focus();
    const top = await sidebar.page.locator('.scroller').evaluate(e => e.scrollTop);
    await eventually(async () =>
      assert.match(
        (await sidebar.page.evaluate(() => sessionStorage.getItem('state'))) ?? '',
        /listScroll/,
      ),
    );
    await sidebar.page.reload();
    await sidebar.panel.setTheme('dark');
    await sidebar.page.getByRole('row').first().waitFor();
    await eventually(async () =>
      assert.equal(await sidebar.page.locator('.scroller').evaluate(e => e.scrollTop), top),
    );
    const reachable = sidebar.page.locator('.rowButton[tabindex="0"] .number');
    assert.equal(await reachable.textContent(), `${features[40]}`);
  });

  it('shows hostile labels as text', async () => {
    const texts = await sidebar.page.locator('.rowButton .label').allTextContents();
    assert.ok(texts.includes(hostile.markup));
    assert.ok(texts.includes('abc\\u{202e}def\\u{202c}'));
    const page_ = await sidebar.page.evaluate(() => ({
      images: document.images.length,
      harmed: 'harmed' in globalThis,
      turned: /[\u202A-\u202E]/.test(document.body.textContent),
    }));
    assert.deepEqual(page_, { images: 0, harmed: false, turned: false });
  });
});
