import { accessSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { chromium, type Browser } from 'playwright-core';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Where screenshots go, for people to look at. */
export const screenshotFolder = path.join(root, 'out', 'screenshots');

/** A webview's script and style sheet, bundled as they ship. */
export interface Bundle {
  readonly name: 'sidebar' | 'feature' | 'training' | 'layerMap' | 'saeCard';
  readonly script: string;
  readonly style: string;
}

export async function bundle(name: Bundle['name']): Promise<Bundle> {
  const { outputFiles } = await build({
    entryPoints: { [name]: path.join(root, 'webview', name, 'main.ts') },
    outdir: path.join(root, 'out', 'webview'),
    bundle: true,
    platform: 'browser',
    format: 'iife',
    target: 'chrome128',
    minify: true,
    write: false,
    logLevel: 'warning',
  });
  const text = (extension: string): string => {
    const found = outputFiles.find(file => file.path.endsWith(extension));
    if (!found) throw new Error(`esbuild made no ${extension} for ${name}`);
    return found.text;
  };
  return { name, script: text('.js'), style: text('.css') };
}

/** axe-core's own script, for `page.evaluate`. */
export function axeSource(): Promise<string> {
  return readFile(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
}

/** Headless Chromium from the PATH, or from LOUPE_CHROMIUM. */
export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env['LOUPE_CHROMIUM'] ?? onPath(),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

function onPath(): string {
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
  const folders = (process.env['PATH'] ?? '').split(path.delimiter);
  const files = names.flatMap(name => folders.map(folder => path.join(folder, name)));
  const found = files.find(file => {
    try {
      accessSync(file);
      return true;
    } catch {
      return false;
    }
  });
  if (found === undefined)
    throw new Error('No Chromium on the PATH: install it, or set LOUPE_CHROMIUM.');
  return found;
}
