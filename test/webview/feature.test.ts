import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import type { FeatureHost, FeatureState, FeatureView } from '../../src/contracts/panels.ts';
import { bundle, launch, type Bundle } from './browser.ts';
import { eventually, fakeFeatureHost, type FakeHost } from './fakeHosts.ts';
import { openPanel, type PanelPage } from './panelPage.ts';
import { deadFeature, domainFeature, featureState, hostile } from './states.ts';

let browser: Browser;
let feature: Bundle;
let host: FakeHost<FeatureHost, FeatureState>;
let panel: PanelPage<FeatureView>;
let page: Page;

before(async () => {
  [browser, feature] = await Promise.all([launch(), bundle('feature')]);
});

after(() => browser.close());

async function open(state: FeatureState): Promise<void> {
  host = fakeFeatureHost(state);
  panel = await openPanel<FeatureHost, FeatureView>(browser, feature, host.handlers, {
    width: 1_000,
  });
  page = panel.page;
  await page.locator(`main[data-state="${state.kind}"]`).waitFor({ state: 'attached' });
}

async function show(state: FeatureState): Promise<void> {
  await (await panel.view).call('show', state);
}

afterEach(async () => {
  const { complaints } = panel;
  await panel.close();
  assert.deepEqual(complaints, []);
});

describe('the feature panel', () => {
  beforeEach(() => open(featureState({ feature: 4_021 })));

  it('goes to the neighbours by button and by arrow key', async () => {
    await page.getByRole('button', { name: 'Next feature' }).click();
    await page.getByRole('button', { name: 'Previous feature' }).click();
    await page.locator('h1').click();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowLeft');
    await eventually(() =>
      assert.deepEqual(
        host.inputs('go'),
        [4_022, 4_020, 4_022, 4_020].map(to => ({ feature: to })),
      ),
    );
  });

  it('counts a feature of a domain within its residual SAE, and stays in it', async () => {
    await show(domainFeature());
    const number = page.getByRole('spinbutton', { name: 'Feature number' });
    assert.equal(await number.inputValue(), '7');
    assert.match(
      (await page.locator('header').textContent()) ?? '',
      /of 1,024 of chemistry.*Feature 7 of the domain chemistry/,
    );
    for (const typed of ['1024', '1023']) {
      await number.fill(typed);
      await number.press('Enter');
    }
    await eventually(() => assert.deepEqual(host.inputs('go'), [{ feature: 8_192 + 1_023 }]));
  });

  it('leaves the arrow keys to the fields and the plot', async () => {
    await page.getByRole('spinbutton', { name: 'Feature number' }).focus();
    await page.keyboard.press('ArrowLeft');
    await page.getByRole('img', { name: /^Activations/ }).focus();
    await page.keyboard.press('ArrowRight');
    await page.getByRole('button', { name: 'Pin' }).click();
    await eventually(() => assert.deepEqual(host.inputs('pin'), [{ feature: 4_021 }]));
    assert.deepEqual(host.inputs('go'), []);
  });

  it('goes to a typed number that exists, and only to such', async () => {
    const number = page.getByRole('spinbutton', { name: 'Feature number' });
    for (const typed of ['8192', '-1', '4021', '17']) {
      await number.fill(typed);
      await number.press('Enter');
    }
    await eventually(() => assert.deepEqual(host.inputs('go'), [{ feature: 17 }]));
    await show(featureState({ feature: 17 }));
    assert.equal(await number.inputValue(), '17');
  });

  it('selects a token of the document by its line, and keeps its own number for a reload', async () => {
    await page.getByRole('button', { name: 'line 12' }).click();
    await eventually(() => assert.deepEqual(host.inputs('reveal'), [{ start: 512 }]));
    const kept = await page.evaluate(() => sessionStorage.getItem('state'));
    assert.match(kept ?? '', /"feature":4021/);
  });

  it('unpins what is pinned', async () => {
    await show(featureState({ pinned: true }));
    const pin = page.getByRole('button', { name: 'Unpin' });
    await pin.click();
    await eventually(() => assert.deepEqual(host.inputs('pin'), [{ feature: null }]));
  });

  it('keeps the feature readable and the focus where it was while the next one loads', async () => {
    const next = page.getByRole('button', { name: 'Next feature' });
    await next.focus();
    await show({ kind: 'busy' });
    assert.equal(await page.locator('.feature').getAttribute('aria-busy'), 'true');
    assert.ok(await page.locator('h1').isVisible());
    await show(featureState({ feature: 4_022 }));
    assert.equal(await page.locator('.feature').getAttribute('aria-busy'), 'false');
    assert.match(
      await page.evaluate(() => document.activeElement?.ariaLabel ?? ''),
      /^Next feature/,
    );
  });

  it('tints tokens by their activation, with the number in the tooltip', async () => {
    const drawn = await page.locator('.examples .token.active').evaluateAll(tokens =>
      tokens.map(token => ({
        activation: Number(/[\d.]+$/.exec((token as HTMLElement).title)?.[0]),
        heat: Number(getComputedStyle(token).getPropertyValue('--heat')),
      })),
    );
    assert.ok(drawn.length > 10);
    const sorted = drawn.toSorted((a, b) => a.activation - b.activation);
    for (const [i, { activation, heat }] of sorted.entries()) {
      assert.ok(activation > 0 && heat > 0.05 && heat <= 1);
      assert.ok(
        heat >= (sorted[i - 1]?.heat ?? 0) - 0.01,
        'a stronger activation has a stronger tint',
      );
    }
    // 11.8 of 12.4 by Neuronpedia's rule: 0.05 + 0.95 log10(1 + 9 * 11.8 / 12.4)
    assert.equal(sorted.at(-1)?.heat, 0.982);
  });

  it('draws the histogram on a log scale and reads it under the pointer and by key', async () => {
    const heights = await page
      .locator('.bars rect')
      .evaluateAll(bars => bars.map(bar => Number(bar.getAttribute('height'))));
    assert.equal(heights.length, 32);
    assert.equal(heights[0], 100);
    // Counts of 9000 and 4 tokens: ln(5) / ln(9001)
    assert.ok(Math.abs((heights[31] ?? 0) - (100 * Math.log(5)) / Math.log(9_001)) < 1e-9);
    const plot = page.getByRole('img', { name: /^Activations/ });
    await plot.hover({ position: { x: 2, y: 5 } });
    const readout = page.locator('.plotReadout');
    assert.equal(await readout.textContent(), '0.00–0.39: 9,000 tokens');
    await plot.focus();
    await page.keyboard.press('End');
    assert.equal(await readout.textContent(), '12.0–12.4: 4 tokens');
  });

  it('lists promoted and suppressed tokens with their signs', async () => {
    const promoted = page.getByRole('table', { name: 'Promotes' }).getByRole('row').nth(1);
    const suppressed = page.getByRole('table', { name: 'Suppresses' }).getByRole('row').nth(1);
    assert.deepEqual(await promoted.getByRole('cell').allTextContents(), [' boat', '+2.40']);
    assert.deepEqual(await suppressed.getByRole('cell').allTextContents(), [' desert', '−1.90']);
  });

  it('shows hostile text as text', async () => {
    const passage = (await page.locator('.examples .passage').first().textContent()) ?? '';
    assert.ok(passage.includes(hostile.markup));
    assert.ok(passage.includes(hostile.script));
    assert.ok(passage.includes('bell\\u{7}'));
    const found = await page.evaluate(() => ({
      images: document.images.length,
      harmed: 'harmed' in globalThis,
      turned: /[\u202A-\u202E]/.test(document.body.textContent),
    }));
    assert.deepEqual(found, { images: 0, harmed: false, turned: false });
  });
});

describe('the feature panel at its limits', () => {
  it('has no feature before the first, and says what is not known', async () => {
    await open(deadFeature);
    assert.ok(await page.getByRole('button', { name: 'Previous feature' }).isDisabled());
    await page.keyboard.press('ArrowLeft');
    const text = await page.locator('main').innerText();
    assert.match(text, /density unknown/);
    assert.match(text, /No passage of the reference corpus/);
    assert.deepEqual(host.inputs('go'), []);
  });

  it('says what failed', async () => {
    await open({
      kind: 'failed',
      message: 'The SAE has 8,192 features; 9,000 is not one of them.',
    });
    assert.match((await page.getByRole('alert').textContent()) ?? '', /8,192 features/);
    await show(featureState());
    assert.equal(await page.getByRole('alert').count(), 0);
  });
});
