import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import {
  ensureCodeServer,
  installVsix,
  serverFolders,
  startCodeServer,
  writeSettings,
  type RunningServer,
  type ServerFolders,
} from '../../../scripts/codeServer.ts';
import { hostTarget, root, vsixPath } from '../../../scripts/targets.ts';
import { embeddedSae } from '../../../src/common/embedded.ts';
import { launch, screenshotFolder } from '../../webview/browser.ts';
import { writeRandomSae } from '../../fixtures/randomSae.ts';

/** VS Code with the packaged Loupe installed, open in one page on a copy of the samples. */
export interface Editor {
  readonly page: Page;
  readonly server: RunningServer;
  /** The workspace's folder. */
  readonly workspace: string;
  /** The setting for the SAE that the editor was opened with: '' stands for the embedded one. */
  readonly sae: string;
  /** Changes user settings as a person would in settings.json. */
  set(settings: Readonly<Record<string, unknown>>): void;
  close(): Promise<void>;
}

/** A window that shows nothing but what a test looks at. */
const settings: Readonly<Record<string, unknown>> = {
  'security.workspace.trust.enabled': false,
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
  'workbench.enableExperiments': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.reduceMotion': 'on',
  'chat.disableAIFeatures': true,
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'extensions.autoUpdate': false,
  'extensions.autoCheckUpdates': false,
  'extensions.ignoreRecommendations': true,
  'git.enabled': false,
  'editor.hover.delay': 100,
  'editor.cursorBlinking': 'solid',
  'editor.minimap.enabled': false,
  'editor.wordWrap': 'on',
};

/**
 * Starts a server of its own under a temporary folder and opens `file` of the samples. `prepare` may put more into the
 * workspace before it is opened.
 */
export async function openEditor(
  file: string,
  more: Readonly<Record<string, unknown>> = {},
  prepare: (workspace: string) => Promise<void> = () => Promise.resolve(),
): Promise<Editor> {
  const folder = mkdtempSync(join(tmpdir(), 'loupe-editor-'));
  const workspace = join(folder, 'samples');
  cpSync(join(root, 'samples'), workspace, { recursive: true });
  await prepare(workspace);
  const sae = await saePath(folder);
  let current: Readonly<Record<string, unknown>> = { ...settings, 'loupe.sae.path': sae, ...more };
  const folders = serverFolders(folder, current);
  const { server, browser, page } = await start(folder, folders).catch((error: unknown) => {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  });
  await page.goto(server.address(workspace, join(workspace, file)));
  const close = async (): Promise<void> => {
    await browser.close();
    await server.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  closeWhenInterrupted(close);
  return {
    page,
    server,
    workspace,
    sae,
    set(change) {
      current = { ...current, ...change };
      writeSettings(folders, current);
    },
    close,
  };
}

/** The server is in a process group of its own and would outlive an interrupted test. */
function closeWhenInterrupted(close: () => Promise<void>): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      void close().finally(() => process.exit(1));
    });
}

/** Where the embedded SAE is not built, a random one stands in: what is shown then means nothing, but all is shown. */
async function saePath(folder: string): Promise<string> {
  if (existsSync(join(root, embeddedSae))) return '';
  const sae = join(folder, 'sae');
  await writeRandomSae(sae);
  return sae;
}

async function start(
  folder: string,
  folders: ServerFolders,
): Promise<{ server: RunningServer; browser: Browser; page: Page }> {
  const codeServer = await ensureCodeServer();
  const log = join(folder, 'server.log');
  await installVsix(codeServer, folders, vsixPath(hostTarget() ?? 'linux-x64'), log);
  const server = await startCodeServer(codeServer, folders, log);
  try {
    const browser = await launch();
    const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
    page.setDefaultTimeout(400_000);
    return { server, browser, page };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Keeps a picture of the window after a test, for people to look at where it failed. */
export async function pictureAfter(
  editor: Editor | undefined,
  test: { readonly name: string },
): Promise<void> {
  mkdirSync(screenshotFolder, { recursive: true });
  const name = test.name.replace(/\W+/g, '-');
  await editor?.page.screenshot({ path: join(screenshotFolder, `after-${name}.png`) });
}
