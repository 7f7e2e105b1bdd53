// A person chooses a model and an SAE: from the workspace, from a Hub, and looks at an SAE's file.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Locator, Page } from 'playwright-core';
import { root } from '../../scripts/targets.ts';
import { cudaPackage } from '../../src/cuda/cudaLibraries.ts';
import { runtimeVersionIn } from '../../src/cuda/runtimeFolder.ts';
import { readSaeLens, writeSaeLens } from '../../src/saes/formats/saelens.ts';
import { writeSafetensors } from '../../src/weights/safetensors.ts';
import { nupkg } from '../fixtures/cudaPackage.ts';
import { HubServer } from '../fixtures/hubServer.ts';
import { NugetServer } from '../fixtures/nugetServer.ts';
import { writeRandomSae } from '../fixtures/randomSae.ts';
import { ggufBytes, tinyLlama } from '../fixtures/tinyGguf.ts';
import { openEditor, pictureAfter, type Editor } from './harness/editor.ts';
import {
  dismissNotifications,
  eventually,
  notification,
  openFile,
  runCommand,
  showNotifications,
  webview,
  whenReady,
} from './harness/window.ts';

/** Puts a model of a few kilobytes, an SAE for it, and a broken model into the workspace. */
async function prepare(workspace: string): Promise<void> {
  const [models, sae] = [join(workspace, 'models'), join(workspace, 'saes/little')];
  await mkdir(models);
  await writeFile(join(models, 'tiny.gguf'), ggufBytes(tinyLlama()));
  await writeFile(join(models, 'broken.gguf'), 'GGUF and nothing more');
  await writeRandomSae(sae, 96, 64);
  await writeSaeLens({ ...(await readSaeLens(sae)), hook: 'blocks.0.hook_resid_post' }, sae);
  await writeRandomSae(join(workspace, 'saes/wide'));
  // Named as the model that the index knows public SAEs of.
  await writeFile(join(models, 'gpt2-small.gguf'), ggufBytes(tinyLlama()));
  const data = new Float32Array(12);
  await writeSafetensors(join(workspace, 'other.safetensors'), {
    'some.weight': { dtype: 'F32', shape: [3, 4], data },
  });
}

/** onnxruntime has CUDA on Linux x64 alone. */
const skip = `${process.platform}-${process.arch}` !== 'linux-x64';

describe('choosing', () => {
  let editor: Editor;
  let server: HubServer;
  let feed: NugetServer;

  before(async () => {
    const gguf = Buffer.from(ggufBytes(tinyLlama()));
    const files = { 'small-F32.gguf': gguf, 'README.md': Buffer.from('# A model') };
    const published = await publicSae();
    server = await HubServer.start([
      { id: 'jbloom/GPT2-Small-SAEs-Reformatted', files: published, lfs: Object.keys(published) },
      { id: 'tests/small-gguf', files, lfs: ['small-F32.gguf'], tags: ['gguf'], downloads: 7 },
    ]);
    const version = runtimeVersionIn(join(root, 'node_modules'));
    feed = await NugetServer.start(cudaPackage, version, nupkg);
    const settings = {
      'loupe.hub.endpoint': server.endpoint.href,
      'loupe.cuda.endpoint': feed.index,
    };
    editor = await openEditor('chemistry.md', settings, prepare);
    editor.page.setDefaultTimeout(60_000);
  });
  after(async () => {
    await editor.close();
    await server[Symbol.asyncDispose]();
    await feed[Symbol.asyncDispose]();
  });
  afterEach(context => pictureAfter(editor, context));

  it('a model of the workspace, whose list says what can be used and what cannot', async () => {
    const { page } = editor;
    await runCommand(page, 'Loupe: Choose Model');
    await row(page, /tiny\.gguf.*llama · \d layers of 64/).waitFor();
    const broken = row(page, /broken\.gguf/);
    await eventually('a reason', async () =>
      (await broken.innerText()).includes('The version') ? true : undefined,
    );
    await broken.click();
    await notification(page, /broken\.gguf/).waitFor();
    await row(page, /tiny\.gguf/).click();
    const dialog = page.locator('.monaco-dialog-box');
    await dialog.waitFor();
    assert.match(await dialog.innerText(), /does not fit tiny[\s\S]*width 576.*64 wide/);
    await dialog.getByRole('button', { name: 'Choose an SAE for It' }).click();
    const sae = row(page, /little.*blocks\.0\.hook_resid_post · 96 features/);
    await sae.waitFor();
    await sae.click();
    await runCommand(page, 'Loupe: Analyze Document');
    assert.match(await whenReady(page), /tiny/);
    await dismissNotifications(page);
    assert.deepEqual(server.seen, [], 'nobody was asked');
  });

  it('an SAE that does not fit is shown with the reason', async () => {
    const { page } = editor;
    await runCommand(page, 'Loupe: Choose SAE');
    await row(page, /little/)
      .first()
      .waitFor();
    await page.keyboard.press('Escape');
    assert.deepEqual(server.seen, [], 'nobody was asked');
  });

  it('a model of the Hub: searched, downloaded, cancelled, and gone on with', async () => {
    const { page } = editor;
    [server.pace, server.step] = [400, 2048];
    await runCommand(page, 'Loupe: Choose Model');
    await row(page, /Search the Hub/).click();
    await page.locator('.quick-input-title', { hasText: 'Search' }).waitFor();
    assert.deepEqual(server.seen, [], 'nobody was asked before a key was pressed');
    await page.keyboard.type('small');
    await row(page, /tests\/small-gguf/)
      .last()
      .click();
    await row(page, /small-F32\.gguf.*F32/).click();
    const progress = notification(page, /Downloading tests\/small-gguf/);
    await progress.waitFor();
    await eventually('bytes', () =>
      Promise.resolve(server.seen.some(({ host }) => host === 'cdn') || undefined),
    );
    await progress.hover();
    await progress.getByRole('button', { name: 'Cancel' }).click();
    await notification(page, /was cancelled/).waitFor();
    await dismissNotifications(page);
    [server.pace, server.step] = [0, 65_536];
    await runCommand(page, 'Loupe: Choose Model');
    await row(page, /Go on: tests\/small-gguf/).click();
    await eventually('the rest', () =>
      Promise.resolve(server.seen.some(({ range }) => range !== undefined) || undefined),
    );
    await runCommand(page, 'Loupe: Analyze Document');
    await eventually('the downloaded model', async () =>
      (await whenReady(page)).includes('small-F32') ? true : undefined,
    );
  });

  it('a public SAE of the model in use: from the index, downloaded and used', async () => {
    const { page } = editor;
    await runCommand(page, 'Loupe: Choose Model');
    await row(page, /models.gpt2-small\.gguf.*llama/)
      .last()
      .click();
    await eventually('another model', async () =>
      (await whenReady(page)).includes('gpt2-small') ? true : undefined,
    );
    const before = server.seen.length;
    await runCommand(page, 'Loupe: Choose SAE');
    await row(page, /Public SAEs of gpt2-small.*147 of 17 releases/).click();
    await page.locator('.quick-input-title', { hasText: 'Public SAE' }).waitFor();
    assert.equal(server.seen.length, before, 'nobody was asked');
    await page.keyboard.type('Reformatted/blocks.0');
    await row(page, /blocks\.0\.hook_resid_pre.*L0 10 · EV 0\.999/).click();
    await eventually('a downloaded SAE in use', async () => {
      await runCommand(page, 'Loupe: Choose SAE');
      await row(page, /blocks\.0\.hook_resid_pre\s*in use/)
        .first()
        .waitFor({ timeout: 3000 });
      return true;
    });
    await page.keyboard.press('Escape');
    await whenReady(page);
  });

  it('an SAE’s file opens as a card', async () => {
    const { page } = editor;
    await openFile(page, 'saes/little/sae_weights.safetensors');
    const card = await webview(page, 'main[data-state="sae"]');
    const text = await card.locator('main').innerText();
    assert.match(text, /96 features of activations 64 wide at blocks\.0\.hook_resid_post/);
    assert.match(text, /Use This SAE/);
    assert.match(text, /topk, k up to 64/);
    await openFile(page, 'saes/little/cfg.json');
    await runCommand(page, 'Loupe: Open as SAE Card');
    await page.locator('.tab.active', { hasText: 'cfg.json' }).waitFor();
    await webview(page, 'main[data-state="sae"]');
    await openFile(page, 'other.safetensors');
    const table = await webview(page, 'main[data-state="tensors"]');
    assert.match(await table.locator('main').innerText(), /some\.weight\s+F32\s+3 × 4\s+48 B/);
  });

  it(
    'CUDA’s libraries: size and consent, downloaded, cancelled, and gone on with',
    { skip },
    async () => {
      const { page } = editor;
      const dialog = page.locator('.monaco-dialog-box');
      const ask = async (): Promise<string> => {
        await runCommand(page, 'Loupe: Download CUDA Libraries');
        await dialog.waitFor();
        return dialog.innerText();
      };
      const download = (): Promise<void> =>
        dialog.getByRole('button', { name: 'Download' }).click();
      const fetched = () => feed.seen.filter(({ path }) => path.endsWith('.nupkg'));

      assert.match(await ask(), /2\.0 MB from 127\.0\.0\.1.*CUDA itself.*installed by you/s);
      await dialog.getByRole('button', { name: 'Cancel' }).click();
      assert.deepEqual(fetched(), [], 'without consent');

      feed.pace = 500;
      await ask();
      await download();
      const progress = notification(page, /Downloading CUDA/);
      await progress.filter({ hasText: /of 2/ }).waitFor();
      await progress.hover();
      await progress.getByRole('button', { name: 'Cancel' }).click();
      // VS Code shows no fourth toast within 0.8 s.
      await showNotifications(page);
      await notification(page, /download was cancelled.*What has arrived is kept/).waitFor();
      await dismissNotifications(page);

      feed.pace = 0;
      await ask();
      await download();
      await eventually('libraries that are here', async () => {
        const text = await ask();
        await page.keyboard.press('Escape');
        return text.includes('are here. Download them again?') || undefined;
      });
      assert.deepEqual(
        fetched().map(({ range }) => range !== undefined),
        [false, true],
        'the rest alone',
      );
      // No loader takes these libraries: the engine that was started with them goes on on the CPU.
      await runCommand(page, 'Loupe: Analyze Document');
      await whenReady(page);
    },
  );
});

/** The files of an SAE for the tiny model, under a name of the index. */
async function publicSae(): Promise<Record<string, Uint8Array>> {
  const folder = await mkdtemp(join(tmpdir(), 'loupe-public-'));
  await writeRandomSae(folder, 96, 64);
  await writeSaeLens({ ...(await readSaeLens(folder)), hook: 'blocks.0.hook_resid_pre' }, folder);
  const files: Record<string, Uint8Array> = {};
  for (const name of ['cfg.json', 'sae_weights.safetensors']) {
    files[`blocks.0.hook_resid_pre/${name}`] = await readFile(join(folder, name));
  }
  await rm(folder, { recursive: true });
  return files;
}

/** The lines of the open list whose text fits. */
function row(page: Page, text: RegExp): Locator {
  return page.locator('.quick-input-list .monaco-list-row', { hasText: text });
}
