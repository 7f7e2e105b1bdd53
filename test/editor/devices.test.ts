// On which device the engine runs, and that one on which it stops again and again is left. The device is the CPU in disguise.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { runtimeVariable } from '../../src/contracts/devices.ts';
import { failingRuntime } from '../fixtures/failingRuntime.ts';
import { openEditor, pictureAfter, type Editor } from './harness/editor.ts';
import { engineUnder } from './harness/engineProcess.ts';
import {
  closeHover,
  dismissNotifications,
  editorHover,
  eventually,
  hoverOver,
  notification,
  runCommand,
  statusItem,
  whenReady,
} from './harness/window.ts';

describe('the device', () => {
  let editor: Editor;
  let folder: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'loupe-device-'));
    Object.assign(process.env, await failingRuntime(folder, { after: 1e9 }));
    editor = await openEditor('speech.txt', {
      'loupe.device': 'webgpu',
      'loupe.precision': 'float32',
    });
  });
  after(async () => {
    Reflect.deleteProperty(process.env, runtimeVariable);
    await editor.close();
    rmSync(folder, { recursive: true, force: true });
  });
  afterEach(context => pictureAfter(editor, context));

  /** What the status item says when the mouse is over it. */
  async function told(expected: RegExp): Promise<string> {
    const { page } = editor;
    return eventually(`tooltip that says ${String(expected)}`, async () => {
      await closeHover(page);
      await statusItem(page).hover({ timeout: 5000 });
      const hover = editorHover(page).filter({ hasText: expected }).first();
      await hover.waitFor({ timeout: 4000 });
      const text = await hover.innerText();
      await closeHover(page);
      return text;
    });
  }

  it('is told with precision and memory', async () => {
    await runCommand(editor.page, 'Loupe: Analyze Document');
    await whenReady(editor.page);
    const text = await told(/on WebGPU, float32/);
    assert.match(text, /Memory: \d+(\.\d)? MB of weights, \d+(\.\d)? [MG]B in all/);
    assert.doesNotMatch(text, /CPU/);
  });

  it('is left when the engine stops on it for the second time, and the CPU goes on', async () => {
    const { page, server } = editor;
    const first = await engineUnder(server.pid);
    process.kill(first, 'SIGKILL');
    await notification(page, /engine stopped .*started again/).waitFor();
    const second = await engineUnder(server.pid, first);
    await whenReady(page);
    process.kill(second, 'SIGKILL');
    const reason = /The engine stopped twice on WebGPU \(signal SIGKILL\), and the CPU goes on/;
    await notification(page, reason).waitFor();
    await whenReady(page);
    const text = await told(/on CPU, float32/);
    assert.match(text, reason);
    await dismissNotifications(page);
    assert.match(await hoverOver(page, 'forest', /surprisal/), /#\d+/);
  });

  it('is tried again when the user restarts the engine', async () => {
    await runCommand(editor.page, 'Loupe: Restart Engine');
    await whenReady(editor.page);
    assert.doesNotMatch(await told(/on WebGPU, float32/), /stopped twice/);
  });
});
