// The extension in a real VS Code: time to activate and size of its bundle, against their limits, and a hover while
// the engine is stopped, against the same hover while it runs. Needs the VSIX (`npm run package`) and Chromium.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { root } from '../scripts/targets.ts';
import { openEditor } from '../test/editor/harness/editor.ts';
import { engineUnder } from '../test/editor/harness/engineProcess.ts';
import { eventually, hoverOver, runCommand, whenReady } from '../test/editor/harness/window.ts';

const limits = { activation: 100, bundle: 200_000 }; // ms, bytes
const hovers = 5;

const editor = await openEditor('chemistry.md');
try {
  const { page } = editor;
  await runCommand(page, 'Loupe: Analyze Document');
  await whenReady(page);
  const engine = await engineUnder(editor.server.pid);
  const running = await hoverTime(page);
  process.kill(engine, 'SIGSTOP');
  const stopped = await hoverTime(page).finally(() => process.kill(engine, 'SIGCONT'));
  const activation = await activationTime(page);
  const bundle = statSync(join(root, 'dist/extension.cjs')).size;
  print('activation', activation / limits.activation, `of ${limits.activation} ms`);
  print('extension.cjs', bundle / limits.bundle, `of ${limits.bundle / 1000} kB`);
  print('hover, engine stopped', stopped / running, 'of the hover with the engine running');
} finally {
  await editor.close();
}

/** Milliseconds from the mouse's arrival to the hover's text, the least of several; VS Code's own delay is in it. */
async function hoverTime(page: Page): Promise<number> {
  let least = Infinity;
  for (let i = 0; i < hovers; i++) {
    const start = performance.now();
    await hoverOver(page, i % 2 ? 'morphine' : 'analgesic');
    least = Math.min(least, performance.now() - start);
  }
  return least;
}

/** What VS Code itself measured: "Activation: 12ms", or "Startup Activation". */
async function activationTime(page: Page): Promise<number> {
  await runCommand(page, 'Developer: Show Running Extensions');
  return eventually('activation time of Loupe', async () => {
    const row = page.locator('.runtime-extensions-editor .monaco-list-row', { hasText: 'Loupe' });
    const [, milliseconds] = /Activation: (\d+)ms/.exec(await row.first().innerText()) ?? [];
    return milliseconds === undefined ? undefined : Number(milliseconds);
  });
}

function print(name: string, ratio: number, of: string): void {
  console.log(`${name.padEnd(24)} ${ratio.toFixed(3)} ${of}`);
}
