// A workspace that names a residual SAE: its features beside the base's, switched and compared without a model run.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Frame, Locator } from 'playwright-core';
import { writeRandomResidual } from '../fixtures/randomSae.ts';
import { openEditor, pictureAfter, type Editor } from './harness/editor.ts';
import { engineUnder } from './harness/engineProcess.ts';
import {
  dismissNotifications,
  eventually,
  hoverOver,
  notification,
  openSidebar,
  runCommand,
  showNotifications,
  statusItem,
  tintColours,
  webview,
  whenReady,
} from './harness/window.ts';

function writeDomains(workspace: string, domains: readonly unknown[]): void {
  mkdirSync(join(workspace, '.vscode'), { recursive: true });
  const settings = JSON.stringify({ 'loupe.domains': domains });
  writeFileSync(join(workspace, '.vscode', 'settings.json'), settings);
}

/** A random residual SAE, named by a relative path, and a domain whose folder is not there. */
async function prepare(workspace: string): Promise<void> {
  await writeRandomResidual(join(workspace, 'saes', 'residual'), { threshold: 8 });
  writeDomains(workspace, [
    { name: 'chemistry', path: 'saes/residual' },
    { name: 'lost', path: 'saes/none' },
  ]);
}

describe('a workspace with a domain', () => {
  let editor: Editor;
  let sidebar: Frame;
  let engine = NaN;

  before(async () => {
    editor = await openEditor('chemistry.md', { 'loupe.hover.features': 64 }, prepare);
  });
  after(() => editor.close());
  afterEach(context => pictureAfter(editor, context));

  const domain = (): Locator => sidebar.locator('vscode-checkbox', { hasText: 'chemistry' });
  const compare = (): Locator => sidebar.locator('vscode-checkbox', { hasText: 'Compare' });

  /** The name of the metric EV as it is read aloud, once it is of this form. */
  const ev = (form: RegExp): Promise<string> =>
    eventually(`EV like ${String(form)}`, async () => {
      const label = await sidebar.locator('.metric[aria-label^="EV "]').getAttribute('aria-label');
      return label !== null && form.test(label) ? label : undefined;
    });

  it('the hover names the domain as the source of its features, and what it changes', async () => {
    await runCommand(editor.page, 'Loupe: Analyze Document');
    assert.match(await whenReady(editor.page), /\+ chemistry · k \d+$/);
    const text = await hoverOver(editor.page, 'analgesic', /\+ chemistry/);
    assert.match(text, /\bbase\b/);
    assert.match(text, /error \|e\| [\d.]+ → [\d.]+ \([+−±]\d+ %\) with chemistry/);
  });

  it('one that cannot be loaded is told and does not take the others away', async () => {
    await showNotifications(editor.page);
    await notification(editor.page, /The domain lost cannot be used: There is no SAE at/).waitFor();
    await dismissNotifications(editor.page);
    sidebar = await openSidebar(editor.page);
    await sidebar.locator('main[data-state="analyzed"]').waitFor();
    await sidebar.locator('.working').waitFor({ state: 'hidden' });
    assert.match(
      await sidebar.locator('.refused:visible').innerText(),
      /lost\s+The domain lost cannot be used/,
    );
    await ev(/^EV [−\d.]+ \(base [−\d.]+\)$/);
    await sidebar.locator('.domainMark', { hasText: '+ chemistry' }).first().waitFor();
  });

  it('its switch changes EV, list, hover and status while the engine is stopped', async () => {
    engine = await engineUnder(editor.server.pid);
    process.kill(engine, 'SIGSTOP');
    const boosted = await ev(/base/);
    await domain().click();
    const base = await ev(/^EV [−\d.]+$/);
    assert.equal(base.slice(3), /base (.*)\)/.exec(boosted)?.[1]);
    assert.equal(await sidebar.locator('.domainMark').count(), 0);
    assert.match((await statusItem(editor.page).innerText()).trim(), /Instruct\S* · k \d+$/);
    assert.doesNotMatch(await hoverOver(editor.page, 'analgesic'), /chemistry|error/);
    await domain().click();
    assert.equal(await ev(/base/), boosted);
    assert.match(await hoverOver(editor.page, 'analgesic', /\+ chemistry/), /with chemistry/);
  });

  it('the comparison tints by the change of the error, in two families of colours', async () => {
    const before = new Set(await tintColours(editor.page));
    await compare().click();
    await sidebar.locator('.legend', { hasText: 'error shrinks, at most −' }).waitFor();
    const colours = await eventually('other tints', async () => {
      const found = new Set(await tintColours(editor.page));
      return found.size > 1 && [...found].every(colour => !before.has(colour)) ? found : undefined;
    });
    const families = [...colours].map(colour => colour.replace(/, [\d.]+\)$/, ''));
    const known = ['rgba(59, 130, 246', 'rgba(214, 51, 108', 'rgba(47, 127, 224'];
    assert.ok(
      families.every(family => known.includes(family)),
      families.join(' '),
    );
    await compare().click();
    await eventually('the former tints', async () =>
      (await tintColours(editor.page)).every(colour => before.has(colour)) ? true : undefined,
    );
    process.kill(engine, 'SIGCONT');
  });

  it('a feature of the domain opens beside the document, and says that it has no card', async () => {
    const open = sidebar.locator('button[aria-label^="Open feature"][aria-label$="of chemistry"]');
    await open.first().focus();
    await open.first().press('Enter');
    const panel = await webview(editor.page, 'main[data-state="failed"] .failure');
    assert.match(
      await panel.locator('.failure').innerText(),
      /no card for feature \d+ of the domain chemistry\. Make the cards with/,
    );
  });

  it('it goes with the setting that names it', async () => {
    writeDomains(editor.workspace, []);
    await ev(/^EV [−\d.]+$/);
    await sidebar.locator('.noDomains').waitFor();
    assert.match(await whenReady(editor.page), /Instruct\S* · k \d+$/);
  });
});
