// `npm run screenshots`: every surface in the installed editor, light, dark and high contrast, into out/screenshots.
// `npm run screenshots -- training`: a training from its plan to its report, alone.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Frame } from 'playwright-core';
import { writeRandomResidual } from '../fixtures/randomSae.ts';
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
if (only !== 'training') await reading();
await training();

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
