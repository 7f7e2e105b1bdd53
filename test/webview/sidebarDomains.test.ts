import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Locator } from 'playwright-core';
import { documentOf, eventually } from './fakeHosts.ts';
import { sidebarPage } from './sidebarPage.ts';
import { analyzed, boosted, boostedEvByK, domains, evByK } from './states.ts';

const sidebar = sidebarPage();

describe('the domains', () => {
  const box = (name: string): Locator => sidebar.page.getByRole('checkbox', { name });
  const says = async (locator: Locator): Promise<string> => (await locator.textContent()) ?? '';

  it('says what to do where there is none, and offers it', async () => {
    await sidebar.open(analyzed());
    const section = sidebar.page.getByRole('region', { name: 'Domains' });
    assert.match(await says(section), /residual SAE adds/);
    await section.getByRole('button', { name: 'Train Residual SAE on Workspace' }).click();
    await section.getByRole('button', { name: 'Add a residual SAE…' }).click();
    await eventually(() =>
      assert.deepEqual(sidebar.host.inputs('run'), [
        { command: 'trainResidual' },
        { command: 'addDomain' },
      ]),
    );
    assert.equal(await box('Compare').count(), 0);
  });

  it('switches each by keyboard, and keeps the focus when the answer comes', async () => {
    await sidebar.open(boosted());
    assert.deepEqual(
      [await box('chemistry').isChecked(), await box('proceedings').isChecked()],
      [true, false],
    );
    await box('chemistry').focus();
    await sidebar.page.keyboard.press('Space');
    const off = { path: '/d/chemistry', on: false };
    await eventually(() => assert.deepEqual(sidebar.host.inputs('setDomain'), [off]));
    await sidebar.show(
      boosted({ domains: domains.map((d, i) => (i === 0 ? { ...d, on: false } : d)) }),
    );
    assert.equal(await box('chemistry').isChecked(), false);
    await sidebar.page.keyboard.press('Space');
    await eventually(() =>
      assert.deepEqual(sidebar.host.inputs('setDomain'), [off, { path: '/d/chemistry', on: true }]),
    );
  });

  it('says why one cannot be used, and has no switch for it', async () => {
    await sidebar.open(boosted());
    assert.equal(await box('law').count(), 0);
    assert.match(
      await says(sidebar.page.locator('.refused:visible')),
      /law.*no residual SAE for small/,
    );
  });

  it('shows EV and L0 of the base and with the domains', async () => {
    await sidebar.open(boosted({ k: 8 }));
    const [with_, base] = [boostedEvByK[7] ?? 0, evByK[7] ?? 0].map(ev => ev.toFixed(3));
    const ev = sidebar.page.getByRole('group', { name: `EV ${with_} (base ${base})` });
    assert.match(await says(ev), /Σê/);
    const l0 = sidebar.page.getByRole('group', { name: 'L0 13.0 (7.8 + 5.1)' });
    assert.match(await says(l0), /7\.8 of the base and 5\.1 of the domains/);
    const readout = sidebar.page.locator('.sparsity .plotReadout');
    assert.equal(await says(readout), `k = 8: ${with_}, base ${base}`);
    assert.equal(
      await sidebar.page.locator('.sparsity path.otherLine').getAttribute('d').then(Boolean),
      true,
    );
    await sidebar.show(analyzed({ k: 8 }));
    assert.equal(await says(readout), `k = 8: ${base}`);
    assert.equal(await sidebar.page.locator('.sparsity path.otherLine').getAttribute('d'), '');
  });

  it('compares, with a legend that says how far the tints reach', async () => {
    await sidebar.open(boosted());
    const legend = sidebar.page.getByRole('note', { name: 'Tints of the comparison' });
    assert.equal(await legend.count(), 0);
    await box('Compare').click();
    await eventually(() => assert.deepEqual(sidebar.host.inputs('setCompare'), [{ on: true }]));
    await sidebar.show(boosted({ compared: { shrunk: 0.34, grown: 0.021 } }));
    assert.equal(await box('Compare').isChecked(), true);
    assert.equal(await says(legend), 'error shrinks, at most −34 %grows, at most +2.1 %');
    assert.deepEqual(sidebar.host.inputs('setCompare'), [{ on: true }]);
  });

  it('marks their features in the list and names them by their domain', async () => {
    await sidebar.open(boosted());
    const row = sidebar.page.getByRole('row').nth(1);
    assert.equal(await says(row.locator('.number')), '1');
    assert.equal(await says(row.locator('.domainMark')), '+ chemistry');
    await row.getByRole('button', { name: 'Open feature 1 of chemistry' }).click();
    await eventually(() =>
      assert.deepEqual(sidebar.host.inputs('openFeature'), [{ feature: 8_193 }]),
    );
    assert.equal(await sidebar.page.locator('.domainMark img').count(), 0);
  });

  it('draws a row anew where its number now stands for another feature', async () => {
    await sidebar.open(boosted());
    const rows = documentOf(sidebar.host.state).rows.map(row =>
      row.domain === 'chemistry' ? { ...row, domain: 'law' } : row,
    );
    await sidebar.show(boosted({ rows }));
    assert.equal(await says(sidebar.page.getByRole('row').nth(1).locator('.domainMark')), '+ law');
    assert.equal(await sidebar.page.getByRole('row').count(), 60);
  });

  it('says where an SAE may fire more features than are kept', async () => {
    await sidebar.open(analyzed({ k: 64, capped: 12 }));
    const l0 = sidebar.page.getByRole('group', { name: /^L0 62\.7 \(at most 64\)/ });
    assert.match(await says(l0), /on 12 tokens more may fire/);
  });
});
