// What breaks, breaks clearly, and the window stays usable.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Page } from 'playwright-core';
import { openEditor, pictureAfter, type Editor } from './harness/editor.ts';
import { engineUnder, enginesUnder } from './harness/engineProcess.ts';
import {
  dismissNotifications,
  eventually,
  hoverOver,
  notification,
  openFile,
  runCommand,
  statusItem,
  tintedSpans,
  whenReady,
} from './harness/window.ts';

/** The status item is red while the engine cannot be used. */
function whenBroken(page: Page): Promise<true> {
  return eventually('failed status', async () =>
    (await statusItem(page).getAttribute('class'))?.includes('error') === true ? true : undefined,
  );
}

describe('what breaks', () => {
  let editor: Editor;

  before(async () => {
    editor = await openEditor('speech.txt');
    const { workspace } = editor;
    writeFileSync(join(workspace, 'empty.txt'), '');
    writeFileSync(
      join(workspace, 'binary.bin'),
      Uint8Array.from({ length: 4096 }, (_, i) => i % 256),
    );
    writeFileSync(
      join(workspace, 'line.txt'),
      'one line without end, '.repeat(50_000).slice(0, 2 ** 20),
    );
    writeFileSync(join(workspace, 'large.txt'), 'A line of a very large file.\n'.repeat(1_850_000));
  });
  after(() => editor.close());
  afterEach(context => pictureAfter(editor, context));

  /** Whether the window still does its work: the sample answers a hover. */
  async function checkUsable(): Promise<void> {
    await openFile(editor.page, 'speech.txt');
    await runCommand(editor.page, 'Loupe: Analyze Document');
    assert.match(await hoverOver(editor.page, 'forest', /surprisal/), /#\d+/);
  }

  it('nothing, at first', async () => {
    await runCommand(editor.page, 'Loupe: Analyze Document');
    await whenReady(editor.page);
    await checkUsable();
  });

  it('a killed engine is told of and started again; a second time it waits for the user', async () => {
    const { page, server } = editor;
    const first = await engineUnder(server.pid);
    process.kill(first, 'SIGKILL');
    await notification(page, /engine stopped .*started again/).waitFor();
    const second = await engineUnder(server.pid, first);
    await whenReady(page);
    await checkUsable();
    await dismissNotifications(page);
    process.kill(second, 'SIGKILL');
    const stopped = notification(page, /engine stopped again/);
    await stopped.waitFor();
    await whenBroken(page);
    assert.deepEqual(enginesUnder(server.pid), []);
    // What was read stays readable.
    assert.match(await hoverOver(page, 'forest', /surprisal/), /#\d+/);
    await stopped.getByRole('button', { name: 'Restart' }).click();
    await whenReady(page);
    await checkUsable();
    await dismissNotifications(page);
  });

  it('a broken SAE file is named, and another one can be loaded', async () => {
    const { page, workspace } = editor;
    const broken = join(workspace, 'brokenSae');
    mkdirSync(broken);
    writeFileSync(join(broken, 'cfg.json'), '{"d_in": 576,');
    writeFileSync(join(broken, 'sae_weights.safetensors'), 'no tensors');
    editor.set({ 'loupe.sae.path': broken });
    await notification(page, /brokenSae/).waitFor();
    await whenBroken(page);
    editor.set({ 'loupe.sae.path': editor.sae });
    await dismissNotifications(page);
    await whenReady(page);
    await checkUsable();
  });

  it('empty.txt: a message', async () => {
    await openFile(editor.page, 'empty.txt');
    await runCommand(editor.page, 'Loupe: Analyze Document');
    await notification(editor.page, /empty/i).waitFor();
    await dismissNotifications(editor.page);
    await checkUsable();
  });

  it('one line of 1 MB is analysed around what is visible, and can be stopped', async () => {
    const { page } = editor;
    await openFile(page, 'line.txt');
    await eventually('tints of the line', async () => {
      // VS Code may tell extensions of so long a file later than it shows it.
      await runCommand(page, 'Loupe: Analyze Document');
      const tinted = async () => ((await tintedSpans(page)) > 0 ? true : undefined);
      return eventually('tints', tinted, 30_000);
    });
    assert.match(await hoverOver(page, 'without', /surprisal/), /#\d+/);
    await runCommand(page, 'Loupe: Clear Analysis');
    await eventually('a line without tints', async () =>
      (await tintedSpans(page)) === 0 ? true : undefined,
    );
    await checkUsable();
  });

  for (const file of ['binary.bin', 'large.txt'])
    it(`${file}: VS Code shows no text editor, and Loupe says so`, async () => {
      await openFile(editor.page, file);
      await runCommand(editor.page, 'Loupe: Analyze Document');
      await notification(editor.page, /Loupe/).waitFor();
      await dismissNotifications(editor.page);
      await checkUsable();
    });
});
