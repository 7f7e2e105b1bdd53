import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import { seriousFaults } from './accessibility.ts';
import { axeSource, screenshotFolder } from './browser.ts';
import { layerMapPage } from './layerMapPage.ts';
import { layerMap, layerMapStates, state } from './layerMapStates.ts';
import { themeNames } from './themes.ts';

const panel = layerMapPage();
let axe: string;
before(async () => {
  mkdirSync(screenshotFolder, { recursive: true });
  axe = await axeSource();
});

describe('copying', () => {
  const copied = (): Promise<string> => panel.page.evaluate(() => navigator.clipboard.readText());
  const copy = async (form: string): Promise<void> => {
    await panel.page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await panel.page.getByRole('button', { name: `Copy ${form}` }).click();
    await panel.page.getByText(`${form} copied`).waitFor();
  };

  it('CSV has every cell with its exact number', async () => {
    await panel.open(state());
    await copy('CSV');
    const [header, ...lines] = (await copied()).trimEnd().split('\n');
    assert.equal(header, 'layer,buffer,share,initial');
    assert.equal(lines.length, 135);
    const { map } = layerMap().routers;
    for (const line of lines) {
      const [layer = 0, buffer = 0, share = 0] = line.split(',').map(Number);
      assert.equal(Math.fround(share), map[layer * 16 + buffer]);
    }
  });

  it('CSV of heads names layer, head and buffer', async () => {
    await panel.open(state(), 1);
    await copy('CSV');
    const lines = (await copied()).trimEnd().split('\n');
    assert.equal(lines[0], 'layer,head,buffer,share,initial');
    assert.equal(lines.length, 1 + 8 * 135);
  });

  it('SVG stands on its own: plain colours, the texts, no reference to anything', async () => {
    await panel.open(state());
    await copy('SVG');
    const svg = await copied();
    assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" width="\d+" height="\d+"/);
    assert.match(svg, /Normalised mean \|R\|/);
    assert.doesNotMatch(svg, /var\(|color-mix|oklab|class=/);
    assert.ok([...svg.matchAll(/<rect /g)].length > 270);
  });

  it('PNG is a picture of twice the size', async () => {
    await panel.open(state());
    await copy('PNG');
    const size = await panel.page.evaluate(async () => {
      const [item] = await navigator.clipboard.read();
      const bitmap = await createImageBitmap((await item?.getType('image/png')) ?? new Blob());
      return [bitmap.width, bitmap.height];
    });
    assert.ok((size[0] ?? 0) > 1600 && (size[1] ?? 0) > 800, size.join(' x '));
  });

  it('asks the host where the page may not write the clipboard', async () => {
    await panel.open(state());
    await panel.page.evaluate(() => {
      const refuse = (): Promise<never> => Promise.reject(new Error('not allowed'));
      Object.assign(navigator.clipboard, { writeText: refuse, write: refuse });
    });
    await panel.page.getByRole('button', { name: 'Copy CSV' }).click();
    await panel.page.getByText('CSV copied').waitFor();
    await panel.page.getByRole('button', { name: 'Copy PNG' }).click();
    await panel.page.getByText('PNG saved').waitFor();
    const [{ text }] = panel.of('copyText') as [{ text: string }];
    assert.match(text, /^layer,buffer,share,initial\n1,0,/);
    const [{ png }] = panel.of('saveImage') as [{ png: Record<number, number> }];
    assert.deepEqual([png[0], png[1], png[2], png[3]], [0x89, 0x50, 0x4e, 0x47]);
  });
});

describe('the tabs', () => {
  it('are chosen with the arrow keys, Home and End', async () => {
    await panel.open(state());
    await panel.page.getByRole('tab', { name: 'Layers' }).focus();
    const chosen = (): Promise<string> =>
      panel.page.getByRole('tab', { selected: true }).innerText();
    await panel.page.keyboard.press('ArrowRight');
    assert.equal(await chosen(), 'Heads');
    await panel.page.keyboard.press('End');
    assert.equal(await chosen(), 'Collapse');
    await panel.page.keyboard.press('ArrowRight');
    assert.equal(await chosen(), 'Layers');
  });
});

describe('the layer map panel in every theme and state', () => {
  for (const [name, { tab, state: first }] of Object.entries(layerMapStates)) {
    it(`draws ${name}`, async () => {
      await panel.open(first, tab);
      await panel.page.evaluate(axe);
      for (const theme of themeNames) {
        await panel.setTheme(theme);
        const file = path.join(screenshotFolder, `layerMap-${name}-${theme}.png`);
        await panel.page.screenshot({ path: file, fullPage: true });
        assert.deepEqual(await seriousFaults(panel.page), [], `${name} in ${theme}`);
      }
    });
  }

  for (const name of ['layers', 'heads', 'token', 'fitted', 'circuits', 'collapse']) {
    it(`fits 360 px: ${name}`, async () => {
      const found = layerMapStates[name];
      await panel.open(found?.state ?? state(), found?.tab, 360);
      const overflow = await panel.page.evaluate(() => {
        const { scrollWidth, clientWidth } = document.documentElement;
        return scrollWidth - clientWidth;
      });
      assert.equal(overflow, 0, 'the page scrolls sideways');
    });
  }
});
