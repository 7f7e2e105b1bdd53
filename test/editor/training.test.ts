// A person teaches the SAE a domain: plan, training, pause, a reload in the middle, report, and the features in the hover.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Frame, Locator } from 'playwright-core';
import { openEditor, pictureAfter, type Editor } from './harness/editor.ts';
import { trainerUnder } from './harness/engineProcess.ts';
import { writeNotes } from './harness/notes.ts';
import {
  eventually,
  hoverOver,
  notification,
  openFile,
  runCommand,
  webview,
  whenReady,
} from './harness/window.ts';

/** Few tokens: it is the way through the editor that is tested here, not what is learnt. */
const settings = { 'loupe.training.tokens': 40_000, 'loupe.training.width': 128 };

/** Milliseconds: a busy machine trains slowly. */
const patience = 1_200_000;

describe('training on the workspace', () => {
  let editor: Editor;
  let panel: Frame;

  before(async () => {
    editor = await openEditor('chemistry.md', settings);
    writeNotes(editor.workspace, 24);
  });
  after(() => editor.close());
  afterEach(context => pictureAfter(editor, context));

  it('the palette command asks for a name and shows the plan before anything trains', async () => {
    const { page } = editor;
    await runCommand(page, 'Loupe: Train Residual SAE on Workspace');
    const name = page.locator('.quick-input-widget input.input').first();
    await name.waitFor();
    assert.equal(await name.inputValue(), 'samples');
    await name.fill('base');
    await page.getByText("'base' means something else").first().waitFor();
    await name.fill('chemistry');
    await page.keyboard.press('Enter');
    panel = await webview(page, 'main[data-state="plan"]');
    await panel.getByText('Start Training').waitFor();
    const text = await panel.locator('main').innerText();
    assert.match(text, /Files\s+\d+/);
    assert.match(text, /Held out\s+[\d,]+ tokens/);
    assert.match(text, /about \d+ (?:s|min)/);
    assert.equal(await panel.getByLabel('Training tokens').inputValue(), '40000');
  });

  it('a click starts it; panel and status bar say how it goes', async () => {
    await panel.getByText('Start Training').click();
    panel = await webview(editor.page, 'main[data-state="training"] .job[data-status="running"]');
    await trainingItem(editor)
      .filter({ hasText: /training chemistry/ })
      .waitFor();
    const line = panel.locator('.charts .line').first();
    const drawn = async (): Promise<true | undefined> =>
      (await line.getAttribute('d')) === '' ? undefined : true;
    await eventually('loss curve', drawn, patience);
  });

  it('pauses and resumes', async () => {
    await runCommand(editor.page, 'Loupe: Pause Training');
    await panel.locator('.job[data-status="paused"]').waitFor();
    await trainingItem(editor)
      .filter({ hasText: /chemistry paused/ })
      .waitFor();
    await panel.getByRole('button', { name: 'Resume', exact: true }).click();
    await panel.locator('.job[data-status="running"]').waitFor();
  });

  it('goes on by itself when its process is killed', async () => {
    const trainer = await trainerUnder(editor.server.pid);
    process.kill(trainer, 'SIGKILL');
    await trainerUnder(editor.server.pid, trainer);
    await panel.getByText('went on from its checkpoint').waitFor();
  });

  it('survives a reload of the window, with its panel', async () => {
    const { page, server, workspace } = editor;
    await page.waitForTimeout(6000); // the editor writes down what is open every five seconds
    // The address that opened a file would open it alone again.
    await page.goto(server.address(workspace));
    panel = await webview(page, 'main[data-state="training"], main[data-state="report"]');
  });

  it('ends with a notification and the report', async () => {
    await notification(editor.page, /domain chemistry: EV on held-out text/).waitFor({
      timeout: patience,
    });
    panel = await webview(editor.page, 'main[data-state="report"] .headline');
    const text = await panel.locator('main').innerText();
    for (const part of [
      'EV, domain text',
      'EV, general text',
      'New features',
      'How this was measured',
    ])
      assert.ok(text.includes(part), part);
    assert.ok((await panel.locator('.features > li').count()) > 0);
  });

  it('a token of the report opens in its file', async () => {
    const place = panel.locator('.improved button.place').first();
    const file = await place.innerText();
    await place.click();
    await editor.page.locator('.tab.active', { hasText: file }).waitFor();
    await editor.page.locator('.editor-instance .selected-text').first().waitFor();
    assert.equal(await notification(editor.page, /was changed after the training/).count(), 0);
  });

  it('the report opens as Markdown', async () => {
    await runCommand(editor.page, 'Loupe: Show Report');
    panel = await webview(editor.page, 'main[data-state="report"] .headline');
    await panel.getByRole('button', { name: 'Open as Markdown' }).click();
    const preview = await webview(editor.page, '.markdown-body table');
    assert.match(await preview.locator('h1').innerText(), /chemistry/);
  });

  it('the hover has features of the domain', async () => {
    await openFile(editor.page, 'chemistry.md');
    await runCommand(editor.page, 'Loupe: Analyze Document');
    await whenReady(editor.page);
    const words = ['analgesic', 'morphine', 'alkaloid', 'aspirin'];
    await eventually('domain feature in a hover', async () => {
      for (const word of words) {
        const text = await hoverOver(editor.page, word).catch(() => '');
        if (text.split('Expected next')[0]?.includes('chemistry') === true) return true;
      }
      return undefined;
    });
  });
});

function trainingItem({ page }: Editor): Locator {
  return page.locator('.statusbar-item[id$="loupe.training"]');
}
