import type { Browser, Page } from 'playwright-core';
import { Emitter } from 'vscode-jsonrpc';
import type { Contract } from '../../src/contracts/call.ts';
import { createCaller, serve, type Caller, type Handlers } from '../../src/messages/calls.ts';
import type { Port } from '../../src/messages/connection.ts';
import { acceptPages } from '../../src/messages/panel.ts';
import type { Bundle } from './browser.ts';
import { bodyOf, variablesOf, type ThemeName } from './themes.ts';

/** A webview in a page as VS Code makes it, talking to the extension host's own end of the messages. */
export interface PanelPage<V extends Contract<V>> {
  readonly page: Page;
  /** What the host may ask of the webview; resolves once the page has spoken. */
  readonly view: Promise<Caller<V>>;
  /** Content security violations, page errors and console errors so far: must stay empty. */
  readonly complaints: readonly string[];
  setTheme(theme: ThemeName): Promise<void>;
  close(): Promise<void>;
}

export interface PanelOptions {
  readonly width?: number;
  readonly height?: number;
  readonly theme?: ThemeName;
}

const address = 'https://webview.loupe.test';
const nonce = 'dGVzdA0123456789';

export async function openPanel<H extends Contract<H>, V extends Contract<V>>(
  browser: Browser,
  bundle: Bundle,
  handlers: Handlers<H>,
  { width = 300, height = 800, theme = 'dark' }: PanelOptions = {},
): Promise<PanelPage<V>> {
  const context = await browser.newContext({
    viewport: { width, height },
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', error => complaints.push(`page error: ${error.message}`));
  page.on('console', message => {
    if (message.type() === 'error') complaints.push(`console: ${message.text()}`);
  });
  const closed = new Emitter<undefined>();
  const port = await pagePort(page, closed);
  const view = new Promise<Caller<V>>(resolve => {
    acceptPages(port, connection => {
      serve<H>(connection, handlers);
      resolve(createCaller<V>(connection));
    });
  });
  await page.exposeFunction('complain', (complaint: string) => complaints.push(complaint));
  // tsx names functions through a helper of its own, which the page does not have.
  await page.addInitScript('globalThis.__name = f => f');
  await page.addInitScript(stage);
  await page.route(`${address}/**`, route => {
    const { pathname } = new URL(route.request().url());
    const served = files(bundle)[pathname];
    return served ? route.fulfill(served) : route.fulfill({ status: 404, body: '' });
  });
  const setTheme = (next: ThemeName): Promise<void> =>
    page.evaluate(dress, { body: bodyOf[next], variables: variablesOf[next] });
  await page.goto(`${address}/`, { waitUntil: 'load' });
  await setTheme(theme);
  return {
    page,
    view,
    complaints,
    setTheme,
    close: async () => {
      closed.fire(undefined);
      await context.close();
    },
  };
}

/** What VS Code sends is JSON with typed arrays put back in: a number that JSON has not arrives as null. */
function asJson(value: unknown): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (Array.isArray(value)) return value.map(asJson);
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, asJson(part)]));
}

/** The page's messages, through the browser's own serialisation in both directions. */
async function pagePort(page: Page, closed: Emitter<undefined>): Promise<Port> {
  const incoming = new Emitter<unknown>();
  await page.exposeFunction('postToHost', (message: unknown) => {
    incoming.fire(message);
  });
  return {
    post: message =>
      page.evaluate(data => {
        window.dispatchEvent(new MessageEvent('message', { data }));
      }, asJson(message)),
    onMessage: listener => incoming.event(listener),
    onClose: listener => closed.event(listener),
  };
}

/** The page as the extension host writes it: nothing inline, style elements only with the nonce. */
function files({
  script,
  style,
}: Bundle): Partial<Record<string, { contentType: string; body: string }>> {
  const policy = `default-src 'none'; style-src ${address} 'nonce-${nonce}'; script-src 'nonce-${nonce}'`;
  const html = `<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="UTF-8">
    <meta http-equiv="Content-Security-Policy" content="${policy}">
    <meta property="csp-nonce" content="${nonce}">
    <title>Loupe</title>
    <link rel="stylesheet" href="/main.css">
  </head>
  <body><script nonce="${nonce}" src="/main.js"></script></body>
</html>`;
  return {
    '/': { contentType: 'text/html', body: html },
    '/main.js': { contentType: 'text/javascript', body: script },
    '/main.css': { contentType: 'text/css', body: style },
  };
}

/** What the page has from its first moment: VS Code's API object, and ears for policy violations. */
function stage(): void {
  const global = globalThis as unknown as {
    postToHost(message: unknown): Promise<void>;
    complain(complaint: string): Promise<void>;
    acquireVsCodeApi?: () => unknown;
  };
  document.addEventListener('securitypolicyviolation', event => {
    void global.complain(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
  });
  let acquired = false;
  global.acquireVsCodeApi = () => {
    if (acquired) throw new Error('An instance of the VS Code API has already been acquired');
    acquired = true;
    return {
      postMessage: (message: unknown) => void global.postToHost(structuredClone(message)),
      getState: (): unknown => JSON.parse(sessionStorage.getItem('state') ?? 'null'),
      setState: (state: unknown) => sessionStorage.setItem('state', JSON.stringify(state)),
    };
  };
}

/** Dresses the page in a theme as VS Code does: variables on the root, classes on the body. */
function dress(theme: {
  body: { classes: string; kind: string };
  variables: Readonly<Record<string, string>>;
}): void {
  const { style } = document.documentElement;
  style.cssText = '';
  for (const [name, value] of Object.entries(theme.variables))
    style.setProperty(`--vscode-${name}`, value);
  document.body.className = theme.body.classes;
  document.body.setAttribute('data-vscode-theme-kind', theme.body.kind);
}
