// A person gives an ordinary model a layer map: plan, fit, pause, a killed process, and the fitted map.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Frame } from 'playwright-core';
import { openEditor, pictureAfter, type Editor } from './harness/editor.ts';
import { trainerUnder } from './harness/engineProcess.ts';
import { notification, runCommand, webview } from './harness/window.ts';

/** Milliseconds: a busy machine fits slowly. */
const patience = 1_200_000;

describe('fitting routers on the workspace', () => {
  let editor: Editor;
  let panel: Frame;

  before(async () => {
    editor = await openEditor('chemistry.md', { 'loupe.tint': 'off' });
  });
  after(() => editor.close());
  afterEach(context => pictureAfter(editor, context));

  it('the layer map of an ordinary model offers it; time and memory are told before it starts', async () => {
    const { page } = editor;
    await runCommand(page, 'Loupe: Show Layer Map');
    const map = await webview(page, 'main[data-state="ready"] .tabs');
    await map.getByRole('button', { name: 'Fit LIMe Routers on Workspace' }).click();
    const input = page.locator('.quick-input-widget input.input').first();
    await input.waitFor();
    assert.equal(await input.inputValue(), 'samples');
    await page.keyboard.press('Enter');
    const widget = page.locator('.quick-input-widget');
    await widget.getByText(/[\d.]+ GB of memory while it runs/).waitFor({ timeout: patience });
    assert.match(await widget.innerText(), /[\d,]+ tokens\s*about \d+ (?:s|min|h)/);
    await widget.getByText('Another number…').click();
    await widget.getByText('counted with repetition').waitFor();
    await input.fill('3072');
    await widget.getByText(/about \d+ (?:s|min)/).waitFor();
    await page.keyboard.press('Enter');
  });

  it('the panel says how it goes; it pauses and resumes', async () => {
    panel = await webview(editor.page, 'main[data-state="training"] .job[data-status="running"]');
    await editor.page
      .locator('.statusbar-item')
      .filter({ hasText: /fitting samples/ })
      .waitFor();
    await panel.locator('.phases [aria-current="step"]', { hasText: 'fitting' }).waitFor({
      timeout: patience,
    });
    await runCommand(editor.page, 'Loupe: Pause Training');
    await panel.locator('.job[data-status="paused"]').waitFor();
    await panel.getByRole('button', { name: 'Resume', exact: true }).click();
    await panel.locator('.job[data-status="running"]').waitFor();
  });

  it('goes on by itself when its process is killed', async () => {
    const trainer = await trainerUnder(editor.server.pid);
    process.kill(trainer, 'SIGKILL');
    await trainerUnder(editor.server.pid, trainer);
    await panel.getByText('went on from its checkpoint').waitFor();
  });

  it('ends with what it changed, and the fitted map', async () => {
    const { page } = editor;
    const done = notification(page, /routers samples .*CE/);
    await done.waitFor({ timeout: patience });
    await done.getByRole('button', { name: 'Show Layer Map' }).click();
    const map = await webview(page, 'main[data-state="ready"] .tabs');
    await map.getByLabel('Routers').selectOption({ label: 'Fitted: samples' });
    await map.locator('.badge', { hasText: 'Fitted, not trained' }).waitFor();
    await map
      .locator('header')
      .getByText(/on [\d,]+ tokens: held-out CE [\d.]+ → [\d.]+/)
      .waitFor();
  });
});
