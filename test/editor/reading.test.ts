// A person reads a document: analyses it, hovers, moves the slider, opens a feature, edits.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Frame } from 'playwright-core';
import { openEditor, pictureAfter, type Editor } from './harness/editor.ts';
import { engineUnder } from './harness/engineProcess.ts';
import {
  closeHover,
  editorHover,
  eventually,
  hoverOver,
  metric,
  moveSlider,
  openFile,
  openSidebar,
  runCommand,
  tintColours,
  tintedSpans,
  webview,
  whenReady,
} from './harness/window.ts';

describe('reading a document', () => {
  let editor: Editor;
  let sidebar: Frame;

  before(async () => {
    editor = await openEditor('chemistry.md');
  });
  after(() => editor.close());
  afterEach(context => pictureAfter(editor, context));

  it('the palette command tints the tokens', async () => {
    assert.equal(await tintedSpans(editor.page), 0);
    await runCommand(editor.page, 'Loupe: Analyze Document');
    const status = await whenReady(editor.page);
    assert.match(status, /SmolLM2/i);
    await eventually('tinted tokens', async () =>
      (await tintedSpans(editor.page)) > 50 ? true : undefined,
    );
    const colours = new Set(await tintColours(editor.page));
    assert.ok(colours.size > 2, `tints differ by activation: ${[...colours].join(' ')}`);
  });

  it('the hover says features, surprisal and predictions', async () => {
    const text = await hoverOver(editor.page, 'analgesic');
    assert.match(text, /#\d+/);
    assert.match(text, /surprisal \d+\.\d+ nats/);
    assert.match(text, /Expected next: .+ \d/);
  });

  it('the side bar tells of the document at this k', async () => {
    sidebar = await openSidebar(editor.page);
    await sidebar.locator('main[data-state="analyzed"]').waitFor();
    assert.match(await sidebar.locator('.fileName').innerText(), /chemistry\.md/);
    assert.match(await sidebar.locator('.tokenCount').innerText(), /[\d,]+ tokens/);
    assert.ok((await sidebar.locator('[role=grid] .row').count()) > 10);
  });

  it('the slider changes L0, EV and the hover while the engine is stopped: nothing is run again', async () => {
    const engine = await engineUnder(editor.server.pid);
    await settled(sidebar);
    await moveSlider(sidebar, 32);
    const before = await eventually('L0 at k = 32', () => l0Within(sidebar, 16, 32));
    const evBefore = await metric(sidebar, 'EV');
    process.kill(engine, 'SIGSTOP');
    try {
      await moveSlider(sidebar, 4);
      const l0 = await eventually('L0 at k = 4', () => l0Within(sidebar, 1, 4));
      assert.ok(l0 < before);
      assert.notEqual(await metric(sidebar, 'EV'), evBefore);
      const text = await hoverOver(editor.page, 'analgesic');
      assert.ok(featuresOfFirst(text).length <= 4, text);
    } finally {
      process.kill(engine, 'SIGCONT');
    }
    await moveSlider(sidebar, 32);
    const text = await hoverOver(editor.page, 'analgesic');
    assert.match(text, /more at k = 32/);
  });

  it('a feature opens from the hover, walks to its neighbour and pins', async () => {
    const [first] = features(await hoverOver(editor.page, 'morphine'));
    assert.ok(first);
    await editorHover(editor.page).locator('a', { hasText: first }).first().click();
    await closeHover(editor.page);
    const panel = await webview(
      editor.page,
      'main[data-state="feature"] input[aria-label="Feature number"]',
    );
    const number = panel.getByLabel('Feature number');
    assert.equal(`#${await number.inputValue()}`, first);
    const forwards = panel.getByTitle(/^Next feature/);
    const step = (await forwards.isEnabled()) ? forwards : panel.getByTitle(/^Previous feature/);
    await step.click();
    await eventually('neighbouring feature', async () =>
      `#${await number.inputValue()}` === first ? undefined : true,
    );
    await panel.getByText('Pin', { exact: true }).click();
    await panel.getByText('Unpin', { exact: true }).waitFor();
    await panel.getByText('Unpin', { exact: true }).click();
    await runCommand(editor.page, 'View: Close Editor');
  });

  it('a click in the list pins a feature: the file is tinted by it', async () => {
    await openFile(editor.page, 'chemistry.md');
    sidebar = await openSidebar(editor.page);
    await settled(sidebar);
    const all = await tintedSpans(editor.page);
    const row = sidebar.locator('[role=grid] .row').nth(3);
    await row.locator('.rowButton').click();
    await sidebar.locator('.row[aria-selected="true"]').waitFor();
    await eventually('fewer tints', async () =>
      (await tintedSpans(editor.page)) < all ? true : undefined,
    );
    await sidebar.locator('.row[aria-selected="true"] .rowButton').click();
    await eventually('all tints', async () =>
      (await tintedSpans(editor.page)) === all ? true : undefined,
    );
  });

  it('an edit is analysed by itself', async () => {
    const { page } = editor;
    await page.locator('.editor-instance .view-line').first().click();
    await page.keyboard.press('Control+Home');
    await page.keyboard.type('Zinc oxide protects the skin from sunlight. ');
    const text = await hoverOver(page, 'sunlight', /surprisal/);
    assert.match(text, /#\d+/);
    await page.keyboard.press('Control+Z');
  });

  it('an untitled document is analysed too', async () => {
    const { page } = editor;
    await runCommand(page, 'File: New Untitled Text File');
    await page.locator('.tab.active', { hasText: 'Untitled' }).waitFor();
    await page.keyboard.type('The court ruled that the evidence was not admissible.');
    await runCommand(page, 'Loupe: Analyze Document');
    const text = await hoverOver(page, 'evidence', /surprisal/);
    assert.match(text, /#\d+/);
  });

  it('tokens of many scripts, and of half characters, are found under the cursor', async () => {
    await openFile(editor.page, 'languages.txt');
    await runCommand(editor.page, 'Loupe: Analyze Document');
    for (const word of ['свежего', '面包师', 'ekmek', '🥐'])
      assert.match(await hoverOver(editor.page, word, /surprisal/), /#\d+/, word);
  });
});

/** The features that a hover names, in its order. */
function features(hover: string): readonly string[] {
  return [...hover.matchAll(/#\d+/g)].map(([name]) => name);
}

/** The features of the token under the cursor, which the hover explains first. */
function featuresOfFirst(hover: string): readonly string[] {
  return features(hover.split('Expected next')[0] ?? '');
}

async function settled(sidebar: Frame): Promise<void> {
  await sidebar.locator('main[data-state="analyzed"]').waitFor();
  await sidebar.locator('.working').waitFor({ state: 'hidden' });
}

async function l0Within(sidebar: Frame, least: number, most: number): Promise<number | undefined> {
  const l0 = await metric(sidebar, 'L0');
  return l0 >= least && l0 <= most ? l0 : undefined;
}
