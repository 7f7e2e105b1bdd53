import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bundle } from './browser.ts';

const folder = fileURLToPath(new URL('../../webview/', import.meta.url));
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name =>
  /\.(ts|css)$/.test(name),
);

describe('the webviews', () => {
  for (const name of ['sidebar', 'feature', 'training', 'layerMap', 'saeCard'] as const) {
    it(`${name} is below 250 kB`, async () => {
      const { script } = await bundle(name);
      assert.ok(script.length < 250_000, `${script.length} characters`);
    });
  }

  it('take every colour from the theme', () => {
    assert.ok(files.length > 20);
    for (const name of files) {
      const text = readFileSync(path.join(folder, name), 'utf8');
      const found = /#[0-9a-f]{3,8}\b|\b(?:rgba?|hsla?|oklch)\(/i.exec(text)?.[0];
      assert.equal(found, undefined, `${name} has the colour ${found}`);
    }
  });

  it('keep style sheets to 400 lines, as lint keeps scripts', () => {
    for (const name of files.filter(file => file.endsWith('.css'))) {
      const lines = readFileSync(path.join(folder, name), 'utf8').split('\n').length;
      assert.ok(lines <= 400, `${name} has ${lines} lines`);
    }
  });

  it('know the toolkit in one file', () => {
    const users = files.filter(name =>
      readFileSync(path.join(folder, name), 'utf8').includes('@vscode/webview-ui-toolkit'),
    );
    assert.deepEqual(users, [path.join('shared', 'controls.ts')]);
  });

  it('never take text for markup', () => {
    const markup = /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function/;
    for (const name of files) {
      assert.doesNotMatch(readFileSync(path.join(folder, name), 'utf8'), markup, name);
    }
  });
});
