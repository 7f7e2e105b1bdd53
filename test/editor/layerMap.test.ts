// Which layers each head reads: an ordinary model's identity, fitted routers, the token under the cursor, tints.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Frame } from 'playwright-core';
import { root } from '../../scripts/targets.ts';
import { embeddedModel } from '../../src/common/embedded.ts';
import { fileHash } from '../../src/weights/fileHash.ts';
import { writeRandomRouters } from '../fixtures/randomRouters.ts';
import { openEditor, pictureAfter, type Editor } from './harness/editor.ts';
import {
  closeHover,
  eventually,
  hoverOver,
  openFile,
  runCommand,
  tintColours,
  tintedSpans,
  webview,
} from './harness/window.ts';

/** Routers for the embedded model, where the extension keeps those that were fitted. */
async function prepare(workspace: string): Promise<void> {
  const storage = join(dirname(workspace), 'data', 'User', 'globalStorage', 'loupe.loupe');
  const folder = join(storage, 'routers', 'notes');
  mkdirSync(folder, { recursive: true });
  await writeRandomRouters(folder, {
    name: 'SmolLM2-135M-Instruct',
    hash: await fileHash(join(root, embeddedModel)),
    layers: 30,
    keyValueHeads: 3,
  });
}

describe('layer maps', () => {
  let editor: Editor;
  let panel: Frame;

  before(async () => {
    editor = await openEditor('chemistry.md', { 'loupe.tint': 'off' }, prepare);
  });
  after(() => editor.close());
  afterEach(context => pictureAfter(editor, context));

  const readout = (): Promise<string> => panel.locator('.readout').innerText();
  const label = async (name: RegExp): Promise<string> =>
    (await panel
      .locator('.principal:visible')
      .getByRole('gridcell', { name })
      .getAttribute('aria-label')) ?? '';

  it('an ordinary model shows its identity, without an SAE, and offers to fit', async () => {
    await runCommand(editor.page, 'Loupe: Show Layer Map');
    panel = await webview(editor.page, 'main[data-state="ready"] .tabs');
    assert.match(await panel.locator('header').innerText(), /the identity is its true map/);
    assert.match(await label(/^Layer 12 reads its own buffer 12:/), /: 1\.000 /);
    assert.equal(await panel.locator('.principal:visible [role=row]').count(), 29);
  });

  it('fitted routers are picked, and are said to be fitted', async () => {
    await panel.getByLabel('Routers').selectOption({ label: 'Fitted: notes' });
    await panel.locator('.badge', { hasText: 'Fitted, not trained' }).waitFor();
    const share = Number(/: ([\d.]+)/.exec(await label(/^Layer 12 reads its own buffer 12:/))?.[1]);
    assert.ok(share > 0.1 && share < 0.95, `${share}`);
  });

  it('the document is run and its contributions shown', async () => {
    await panel.getByRole('tab', { name: 'Document' }).click();
    await panel.getByText(/chemistry\.md: [\d,]+ tokens/).waitFor();
    assert.match(
      await label(/^Layer 12 reads its own buffer 12:/),
      /: 0\.\d{3} \(initially 1\.000/,
    );
  });

  it('the token under the cursor is followed, and the panel moves the cursor', async () => {
    await panel.getByRole('tab', { name: 'Token' }).click();
    await panel.getByText(/^Token 1 of /).waitFor();
    await openFile(editor.page, 'chemistry.md');
    await editor.page.keyboard.press('Control+End');
    await eventually('a token at the end', async () =>
      /^Token 1 of /.test(await panel.locator('.steps').innerText()) ? undefined : true,
    );
    await panel.getByTitle('Previous token').click();
    await panel.getByTitle('Previous token').press('Home');
    await panel.getByText(/^Token 1 of .*, line 1$/).waitFor();
    await editor.page.locator('.statusbar-item', { hasText: 'Ln 1, Col 1' }).waitFor();
  });

  it('a route tints the file, the hover says the share, and off clears it', async () => {
    assert.equal(await tintedSpans(editor.page), 0);
    await panel
      .locator('.principal:visible')
      .getByRole('gridcell', { name: /^Layer 9.*reads buffer 4:/ })
      .press('Enter');
    await panel.locator('vscode-checkbox', { hasText: 'Tint the file' }).click();
    await panel.getByText(/tokens, mean share/).waitFor();
    await eventually('tints', async () => (await tintedSpans(editor.page)) > 50 || undefined);
    assert.ok(new Set(await tintColours(editor.page)).size > 2);
    const hover = await hoverOver(editor.page, 'morphine', /of its output from buffer 4 here/);
    assert.match(hover, /Layer 9, head \d takes 0\.\d{3}/);
    await closeHover(editor.page);
    await panel.locator('vscode-checkbox', { hasText: 'Tint the file' }).click();
    await eventually('no tints', async () => (await tintedSpans(editor.page)) === 0 || undefined);
    assert.match(await readout(), /^Layer 9, mean over heads, reads buffer 4:/);
  });

  it('circuits are found in the workspace and open in their file', async () => {
    await panel.getByRole('tab', { name: 'Circuits' }).click();
    await panel.getByRole('button', { name: 'Find' }).click();
    await panel.locator('.found li').first().waitFor();
    assert.match(await panel.locator('.circuits').innerText(), /tokens were run/);
    await panel.locator('.found button').first().click();
    await eventually(
      'a selected token',
      async () =>
        (await editor.page.locator('.statusbar-item', { hasText: /\d+ selected/ }).count()) > 0 ||
        undefined,
    );
  });
});
