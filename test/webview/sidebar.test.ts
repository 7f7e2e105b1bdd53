import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { Locator } from 'playwright-core';
import { eventually } from './fakeHosts.ts';
import { sidebarPage } from './sidebarPage.ts';
import { analyzed, evByK } from './states.ts';

const sidebar = sidebarPage();

describe('the sparsity slider', () => {
  const slider = (): Locator => sidebar.page.getByRole('slider', { name: 'Sparsity (k)' });
  const sent = (): unknown[] =>
    sidebar.host.inputs('setK').map(input => (input as { k: number }).k);

  beforeEach(() => sidebar.open(analyzed({ k: 32 })));

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
      await sidebar.page.keyboard.press(key);
      if (k !== undefined) expected.push(k);
      await eventually(() => assert.deepEqual(sent(), expected));
    }
  });

  it('moves by a page of several values', async () => {
    await slider().focus();
    await sidebar.page.keyboard.press('PageDown');
    await eventually(() => assert.equal(sent().length, 1));
    const [k] = sent() as number[];
    assert.ok(k !== undefined && k < 31 && k > 20, `PageDown went from 32 to ${k}`);
  });

  it('sends what the pointer passes over, live, never the same value twice in a row', async () => {
    const box = await slider().boundingBox();
    assert.ok(box);
    const middle = box.y + box.height / 2;
    await sidebar.page.mouse.move(box.x + box.width / 2, middle);
    await sidebar.page.mouse.down();
    await sidebar.page.mouse.move(box.x + box.width - 1, middle, { steps: 12 });
    await eventually(() => assert.equal(sent().at(-1), 64));
    assert.ok(sent().length > 2, 'values are sent while the button is down');
    assert.deepEqual(
      sent().filter((k, i) => k === sent()[i - 1]),
      [],
    );
    await sidebar.page.mouse.up();
    assert.equal(await slider().inputValue(), '64');
  });

  it('stays under the pointer when an older snapshot arrives', async () => {
    const box = await slider().boundingBox();
    assert.ok(box);
    await sidebar.page.mouse.move(box.x + 2, box.y + box.height / 2);
    await sidebar.page.mouse.down();
    await eventually(() => assert.equal(sent().at(-1), 1));
    await sidebar.show(analyzed({ k: 32 }));
    assert.equal(await slider().inputValue(), '1');
    await sidebar.page.mouse.up();
    await sidebar.show(analyzed({ k: 20 }));
    assert.equal(await slider().inputValue(), '20');
  });

  it('takes a typed number and keeps it within 1 and the largest k', async () => {
    const field = sidebar.page.getByRole('spinbutton', { name: 'Sparsity (k)' });
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
    await sidebar.show(analyzed({ k: 4 }));
    const l0 = sidebar.page.getByRole('group', { name: /^L0/ });
    const ev = sidebar.page.getByRole('group', { name: /^EV/ });
    assert.match((await l0.textContent()) ?? '', /^L03\.9/);
    assert.match((await ev.textContent()) ?? '', new RegExp(`^EV${(evByK[3] ?? 0).toFixed(3)}`));
    const describedBy = (await ev.getAttribute('aria-describedby')) ?? '';
    const convention = (await sidebar.page.locator(`#${describedBy}`).textContent()) ?? '';
    assert.match(convention, /1 − Σ\|x − x̂\|² \/ Σ\|x − mean\(x\)\|².*4 of 1,204 tokens/);
    assert.equal(await ev.getAttribute('title'), convention);
  });

  it('reads the curve under the pointer and by the arrow keys', async () => {
    const plot = sidebar.page.getByRole('img', { name: /^EV by k/ });
    const readout = sidebar.page.locator('.sparsity .plotReadout');
    const value = (k: number): string => `k = ${k}: ${(evByK[k - 1] ?? 0).toFixed(3)}`;
    assert.equal(await readout.textContent(), value(32));
    const box = await plot.boundingBox();
    assert.ok(box);
    await plot.hover({ position: { x: box.width - 1, y: 10 } });
    assert.equal(await readout.textContent(), value(64));
    await sidebar.page.mouse.move(0, 0);
    assert.equal(await readout.textContent(), value(32));
    await plot.focus();
    await sidebar.page.keyboard.press('ArrowRight');
    assert.equal(await readout.textContent(), value(33));
    assert.equal(await sidebar.page.locator('[aria-live=polite].unseen').textContent(), value(33));
    assert.deepEqual(sent(), [], 'reading the curve sets nothing');
  });
});

describe('states without an analysis', () => {
  it('offers to analyze the document', async () => {
    await sidebar.open({ kind: 'empty', reason: 'notAnalyzed' });
    await sidebar.page.getByRole('button', { name: 'Analyze Document' }).click();
    await eventually(() =>
      assert.deepEqual(sidebar.host.inputs('run'), [{ command: 'analyzeDocument' }]),
    );
  });

  it('says what failed and offers the commands', async () => {
    await sidebar.open({
      kind: 'failed',
      message: 'The engine has ended.',
      action: 'Restart it.',
      commands: ['restartEngine', 'showLog'],
    });
    assert.equal(await sidebar.page.getByRole('alert').textContent(), 'The engine has ended.');
    await sidebar.page.getByRole('button', { name: 'Show Log' }).click();
    await eventually(() => assert.deepEqual(sidebar.host.inputs('run'), [{ command: 'showLog' }]));
  });

  it('shows progress, then the document, and keeps the list meanwhile', async () => {
    await sidebar.open({ kind: 'busy', step: 'Loading the model', fraction: 0.25 });
    assert.equal(await sidebar.page.getByRole('progressbar').getAttribute('value'), '0.25');
    await sidebar.show(analyzed());
    await sidebar.page.locator('.rowButton').nth(2).focus();
    await sidebar.show({ kind: 'busy', step: 'Analyzing', fraction: null });
    assert.equal(await sidebar.page.getByRole('progressbar').getAttribute('value'), null);
    await sidebar.show(analyzed());
    assert.equal(await sidebar.page.getByRole('row').count(), 60);
  });

  it('says when the host cannot answer', async () => {
    await sidebar.openWithout(() => {
      throw new Error('No host today.');
    });
    await eventually(async () =>
      assert.equal(await sidebar.page.getByRole('alert').textContent(), 'No host today.'),
    );
  });
});
