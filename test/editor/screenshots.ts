// `npm run screenshots`: every surface in the installed editor, light, dark and high contrast, into out/screenshots.
// `npm run screenshots -- training`: a training from its plan to its report, alone; `-- choosing`: lists and SAE cards.
import { mkdirSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Frame, Locator } from 'playwright-core';
import { HubServer } from '../fixtures/hubServer.ts';
import { writeRandomResidual, writeRandomSae } from '../fixtures/randomSae.ts';
import { ggufBytes, tinyLlama } from '../fixtures/tinyGguf.ts';
import { screenshotFolder } from '../webview/browser.ts';
import { openEditor, type Editor } from './harness/editor.ts';
import { writeNotes } from './harness/notes.ts';
import {
  closeHover,
  dismissNotifications,
  editorHover,
  eventually,
  hoverOver,
  openFile,
  openSidebar,
  runCommand,
  webview,
  whenReady,
} from './harness/window.ts';

const themes = {
  light: 'Default Light Modern',
  dark: 'Default Dark Modern',
  highContrast: 'Default High Contrast',
  highContrastLight: 'Default High Contrast Light',
};

const only = process.argv[2];
mkdirSync(screenshotFolder, { recursive: true });
if (only === undefined || only === 'reading') await reading();
if (only === undefined || only === 'training') await training();
if (only === undefined || only === 'choosing') await choosing();

async function reading(): Promise<void> {
  // A random residual SAE stands in for a trained one: what is shown means nothing, but all is shown.
  const domain = { name: 'chemistry', path: 'saes/chemistry' };
  const editor = await openEditor('chemistry.md', { 'loupe.domains': [domain] }, workspace =>
    writeRandomResidual(join(workspace, domain.path), { scale: 0.3, width: 16 }),
  );
  try {
    await picture(editor, 'welcome', 'light');
    await runCommand(editor.page, 'Loupe: Analyze Document');
    await whenReady(editor.page);
    const sidebar = await openSidebar(editor.page);
    await sidebar.locator('main[data-state="analyzed"]').waitFor();
    await inEveryTheme(editor, theme => surfaces(editor, sidebar, theme));
  } finally {
    await editor.close();
  }
}

/** A short training on invented notes: its plan, its course, its report. */
async function training(): Promise<void> {
  const settings = { 'loupe.training.tokens': 40_000, 'loupe.training.width': 128 };
  const editor = await openEditor('chemistry.md', settings);
  const { page } = editor;
  const waitFor = (state: string): Promise<Frame> => webview(page, `main[data-state="${state}"]`);
  try {
    writeNotes(editor.workspace, 24);
    // As high as it takes to see a report without scrolling.
    await page.setViewportSize({ width: 1400, height: 1800 });
    await runCommand(page, 'Loupe: Train Residual SAE on Workspace');
    const name = page.locator('.quick-input-widget input.input').first();
    await name.fill('chemistry');
    await page.keyboard.press('Enter');
    const plan = await waitFor('plan');
    await plan.getByText('Start Training').waitFor();
    await inEveryTheme(editor, theme => picture(editor, 'trainingPlan', theme));
    await plan.getByText('Start Training').click();
    const running = await waitFor('training');
    const line = running.locator('.charts .line').first();
    await eventually('loss curve', async () =>
      (await line.getAttribute('d')) === '' ? undefined : true,
    );
    await runCommand(page, 'Loupe: Pause Training');
    await running.locator('.job[data-status="paused"]').waitFor();
    await inEveryTheme(editor, theme => picture(editor, 'trainingPaused', theme));
    await runCommand(page, 'Loupe: Resume Training');
    await (await waitFor('report')).locator('.improved').waitFor();
    await inEveryTheme(editor, theme => picture(editor, 'trainingReport', theme));
    await page.setViewportSize({ width: 900, height: 1800 });
    await picture(editor, 'trainingReportNarrow', 'highContrastLight');
  } finally {
    await editor.close();
  }
}

/** The lists of models and SAEs, a search of a Hub on this machine, and the card of an SAE. */
async function choosing(): Promise<void> {
  const names = ['SmolLM2-135M', 'SmolLM2-360M', 'SmolLM2-1.7B'];
  const server = await HubServer.start(
    names.map((name, i) => ({
      id: `bartowski/${name}-Instruct-GGUF`,
      files: {
        [`${name}-Q4_K_M.gguf`]: Buffer.alloc(1000),
        [`${name}-F16.gguf`]: Buffer.alloc(4000),
      },
      tags: ['gguf'],
      downloads: 90_000 / (i + 1),
    })),
  );
  const settings = { 'loupe.hub.endpoint': server.endpoint.href };
  const editor = await openEditor('chemistry.md', settings, async workspace => {
    await mkdir(join(workspace, 'models'));
    await writeFile(join(workspace, 'models/tiny.gguf'), ggufBytes(tinyLlama()));
    await writeFile(join(workspace, 'models/broken.gguf'), 'GGUF and nothing more');
    await writeRandomSae(join(workspace, 'saes/random'));
    await writeRandomSae(join(workspace, 'saes/narrow'), 96, 64);
  });
  const { page } = editor;
  page.setDefaultTimeout(30_000);
  const row = (text: RegExp): Locator =>
    // While a list is drawn anew, a row that goes may still show the text of one that comes.
    page.locator('.quick-input-list .monaco-list-row', { hasText: text }).last();
  try {
    await inEveryTheme(editor, async theme => {
      await runCommand(page, 'Loupe: Choose Model');
      await page.mouse.move(3, 890); // a hover over the list would cover it
      await row(/tiny\.gguf.*layers/).waitFor();
      await picture(editor, 'chooseModel', theme);
      await row(/Search the Hub/).click();
      await page.locator('.quick-input-title', { hasText: 'Search' }).waitFor();
      await page.mouse.move(3, 890);
      await page.keyboard.type('smollm2');
      await row(/1\.7B/).waitFor();
      await picture(editor, 'searchHub', theme);
      await row(/360M/).click();
      await row(/F16/).waitFor();
      await picture(editor, 'offers', theme);
      await page.keyboard.press('Escape');
      await runCommand(page, 'Loupe: Choose SAE');
      await page.mouse.move(3, 890);
      await row(/narrow/).waitFor();
      await picture(editor, 'chooseSae', theme);
      await page.keyboard.press('Escape');
      await openFile(page, 'sae_weights.safetensors');
      await webview(page, 'main[data-state="sae"]');
      await page.waitForTimeout(500);
      await picture(editor, 'saeCard', theme);
      await runCommand(page, 'View: Close Editor');
    });
  } finally {
    await editor.close();
    await server[Symbol.asyncDispose]();
  }
}

async function inEveryTheme(editor: Editor, show: (theme: string) => Promise<void>): Promise<void> {
  for (const [name, theme] of Object.entries(themes)) {
    editor.set({ 'workbench.colorTheme': theme, 'window.autoDetectHighContrast': false });
    await editor.page.waitForTimeout(1500); // a theme has no moment at which it is done
    await show(name);
  }
}

async function surfaces(editor: Editor, sidebar: Frame, theme: string): Promise<void> {
  const { page } = editor;
  await dismissNotifications(page);
  await picture(editor, 'document', theme);
  await hoverOver(page, 'analgesic');
  await picture(editor, 'hover', theme);
  await editorHover(page)
    .locator('tr', { hasText: 'base' })
    .locator('a', { hasText: /^#\d+$/ })
    .first()
    .click();
  await closeHover(page);
  await webview(page, 'main[data-state="feature"]');
  await picture(editor, 'feature', theme);
  await runCommand(page, 'View: Close Editor');
  await openFile(page, 'chemistry.md');
  // It was closed where the panel beside it had not taken the focus.
  await runCommand(page, 'Loupe: Analyze Document');
  await whenReady(page);
  await sidebar.locator('[role=grid] .rowButton').nth(2).click();
  await page.waitForTimeout(500);
  await picture(editor, 'pinned', theme);
  await sidebar.locator('.row[aria-selected="true"] .rowButton').click();
  await sidebar.locator('vscode-checkbox', { hasText: 'Compare' }).click();
  await hoverOver(page, 'analgesic');
  await picture(editor, 'compared', theme);
  await closeHover(page);
  await sidebar.locator('vscode-checkbox', { hasText: 'Compare' }).click();
  await sidebar.locator('vscode-checkbox', { hasText: 'chemistry' }).click();
  await page.waitForTimeout(500);
  await picture(editor, 'domainOff', theme);
  await sidebar.locator('vscode-checkbox', { hasText: 'chemistry' }).click();
  await openFile(page, 'languages.txt');
  await runCommand(page, 'Loupe: Analyze Document');
  await hoverOver(page, '面包师');
  await picture(editor, 'languages', theme);
  await closeHover(page);
  await openFile(page, 'chemistry.md');
}

async function picture({ page }: Editor, surface: string, theme: string): Promise<void> {
  const path = join(screenshotFolder, `editor-${surface}-${theme}.png`);
  await page.screenshot({ path });
  console.log(path);
}
