import assert from 'node:assert/strict';
import { basename } from 'node:path';
import type { Frame, Locator, Page } from 'playwright-core';

/** Waits until `value` gives something; the message says what was waited for, and with what the last try failed. */
export async function eventually<T>(
  what: string,
  value: () => Promise<T | undefined>,
  milliseconds = 400_000,
): Promise<T> {
  let problem: unknown;
  for (const end = Date.now() + milliseconds; Date.now() < end;) {
    try {
      const found = await value();
      if (found !== undefined) return found;
    } catch (error) {
      problem = error;
    }
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  throw new Error(`There was no ${what} within ${milliseconds / 1000} s.`, { cause: problem });
}

/** Loupe's item in the status bar. */
export function statusItem(page: Page): Locator {
  return page.locator('.statusbar-item[id$="loupe.status"]');
}

/** Waits until the model is loaded and nothing is being analysed, and says what the status item shows then. */
export async function whenReady(page: Page): Promise<string> {
  return eventually('loaded model and a finished analysis in the status bar', async () => {
    const text = await statusItem(page).innerText({ timeout: 5000 });
    return / · k \d+$/.test(text.trim()) ? text.trim() : undefined;
  });
}

/**
 * Runs a command by its title from the palette. The palette's list is a snapshot: opened before the extension's commands
 * have arrived it never shows them, so it is closed and opened again.
 */
export async function runCommand(page: Page, title: string): Promise<void> {
  const input = page.locator('.quick-input-widget input.input').first();
  const row = page.locator('.quick-input-list .monaco-list-row', {
    has: page.locator('.label-name', { hasText: title }),
  });
  await eventually(`command ${title} in the palette`, async () => {
    await page.keyboard.press('Escape');
    await page.keyboard.press('F1');
    await input.waitFor({ timeout: 5000 });
    await input.fill(`>${title}`, { timeout: 5000 });
    await row.first().waitFor({ timeout: 3000 });
    // The list closes where an editor that is still opening takes the focus: then it is opened again.
    await row.first().click({ timeout: 5000 });
    return true;
  });
  // A command may open a list of its own in the palette's place.
  await eventually('closed palette', async () => {
    const isOpen = (await input.isVisible()) && (await input.inputValue()).startsWith('>');
    return isOpen ? undefined : true;
  });
}

/** Opens a file of the workspace by its name, or by its path where there are several. */
export async function openFile(page: Page, name: string): Promise<void> {
  const input = page.locator('.quick-input-widget input.input').first();
  const label = basename(name);
  const row = page.locator('.quick-input-list .monaco-list-row', { hasText: label });
  await eventually(`file ${name} to open`, async () => {
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+P');
    await input.waitFor({ timeout: 5000 });
    await input.fill(name, { timeout: 5000 });
    await row.first().waitFor({ timeout: 5000 });
    await row.first().click({ timeout: 5000 });
    return true;
  });
  await page.locator('.tab.active', { hasText: label }).waitFor();
}

/** Notifications that are on the screen. */
export function notification(page: Page, text: RegExp): Locator {
  return page.locator('.notification-list-item', { hasText: text }).first();
}

/** Shows the notifications whose toasts have gone: a toast stays for a few seconds, and a busy machine takes longer. */
export async function showNotifications(page: Page): Promise<void> {
  await runCommand(page, 'Notifications: Show Notifications');
}

export async function dismissNotifications(page: Page): Promise<void> {
  await runCommand(page, 'Notifications: Clear All Notifications');
}

/** Number of spans in the editor that carry a decoration of ours: class names of decoration types with a background. */
export async function tintedSpans(page: Page): Promise<number> {
  return page.locator('.editor-instance .view-overlays .cdr[class*="ced-"]').count();
}

/** Background colours of the tinted places, in the order of the document. */
export async function tintColours(page: Page): Promise<readonly string[]> {
  return page
    .locator('.editor-instance .view-overlays .cdr[class*="ced-"]')
    .evaluateAll(spans => spans.map(span => getComputedStyle(span).backgroundColor));
}

/** Hovers over the first visible occurrence of `word` in the editor and returns what the hover says. */
export async function hoverOver(
  page: Page,
  word: string,
  expected = /surprisal|first token/,
): Promise<string> {
  const hover = editorHover(page).filter({ hasText: expected }).first();
  return eventually(`hover of ${word} that says ${String(expected)}`, async () => {
    await closeHover(page);
    const place = await placeOf(page, word);
    await page.mouse.move(place.x - 2, place.y);
    await page.mouse.move(place.x, place.y, { steps: 3 });
    await hover.waitFor({ timeout: 4000 });
    return hover.innerText();
  });
}

export function editorHover(page: Page): Locator {
  return page.locator('.monaco-hover:not(.hidden) .hover-contents:visible');
}

/** A hover stays open under the mouse, and covers what is opened beside it. */
export async function closeHover(page: Page): Promise<void> {
  await page.mouse.move(3, 890);
  await editorHover(page)
    .first()
    .waitFor({ state: 'hidden', timeout: 2000 })
    .catch(() => page.keyboard.press('Escape'));
}

/** The middle of a word's first visible occurrence; decorations cut a line into spans, so text nodes are joined. */
async function placeOf(page: Page, word: string): Promise<{ x: number; y: number }> {
  const place = await page.evaluate(wanted => {
    const lines = document.querySelectorAll('.editor-instance .view-lines .view-line');
    for (const line of lines) {
      const nodes: Text[] = [];
      const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
      while (walker.nextNode())
        if (walker.currentNode instanceof Text) nodes.push(walker.currentNode);
      const text = nodes
        .map(node => node.data)
        .join('')
        .replaceAll('\u00a0', ' ');
      let middle = text.indexOf(wanted) + Math.floor(wanted.length / 2);
      if (!text.includes(wanted)) continue;
      for (const node of nodes) {
        if (middle < node.length) {
          const range = document.createRange();
          range.setStart(node, middle);
          range.setEnd(node, middle + 1);
          const { x, y, width, height } = range.getBoundingClientRect();
          return { x: x + width / 2, y: y + height / 2 };
        }
        middle -= node.length;
      }
    }
    return undefined;
  }, word);
  assert.ok(place, `"${word}" is not on the screen`);
  return place;
}

/** The frame of the visible webview that has `selector`: page, VS Code's own frame, then ours. */
export async function webview(page: Page, selector: string): Promise<Frame> {
  return eventually(`webview with ${selector}`, async () => {
    for (const frame of page.frames()) {
      if (!frame.parentFrame()?.parentFrame()) continue;
      if ((await frame.locator(selector).count()) > 0) return frame;
    }
    return undefined;
  });
}

/** Shows Loupe's side bar and returns its page. */
export async function openSidebar(page: Page): Promise<Frame> {
  const icon = page.locator('.activitybar .action-item', {
    has: page.locator('.action-label[aria-label^="Loupe"]'),
  });
  await icon.waitFor();
  if (!(await icon.getAttribute('class'))?.includes('checked')) await icon.click();
  return webview(page, 'main.sidebar');
}

/** A number of the side bar: L0, EV or Surprisal. */
export async function metric(sidebar: Frame, name: string): Promise<number> {
  const label = await sidebar.locator(`.metric[aria-label^="${name} "]`).getAttribute('aria-label');
  return Number(label?.slice(name.length + 1).replace('−', '-'));
}

/** Moves the sparsity slider by the keyboard, as far as `k`. */
export async function moveSlider(sidebar: Frame, k: number): Promise<void> {
  const slider = sidebar.locator('input[type=range]');
  await slider.focus();
  for (let now = Number(await slider.inputValue()); now !== k; now += Math.sign(k - now))
    await slider.press(now < k ? 'ArrowRight' : 'ArrowLeft');
  assert.equal(await slider.inputValue(), String(k));
}
