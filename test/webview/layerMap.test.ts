import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import type {
  LayerMapHost,
  LayerMapState,
  LayerMapView,
} from '../../src/contracts/layerMapPanel.ts';
import type { Handlers } from '../../src/messages/calls.ts';
import { seriousFaults } from './accessibility.ts';
import { axeSource, bundle, launch, screenshotFolder, type Bundle } from './browser.ts';
import { eventually, type Called } from './fakeHosts.ts';
import { documentMap, layerMap, layerMapStates, state, tokenMap } from './layerMapStates.ts';
import { openPanel, type PanelPage } from './panelPage.ts';
import { themeNames } from './themes.ts';

let browser: Browser;
let script: Bundle;
let axe: string;
let panel: PanelPage<LayerMapView>;
let page: Page;
let calls: Called[];

before(async () => {
  mkdirSync(screenshotFolder, { recursive: true });
  [browser, script, axe] = await Promise.all([launch(), bundle('layerMap'), axeSource()]);
});
after(() => browser.close());
afterEach(async () => {
  const { complaints } = panel;
  await panel.close();
  assert.deepEqual(complaints, []);
});

function fakeHost(first: LayerMapState): Handlers<LayerMapHost> {
  const note =
    (method: string) =>
    (input: unknown): null => {
      calls.push([method, input]);
      return null;
    };
  return {
    ready: () => first,
    watchDocument: note('watchDocument'),
    retry: note('retry'),
    chooseRouters: note('chooseRouters'),
    run: note('run'),
    selectRoute: note('selectRoute'),
    setTint: note('setTint'),
    moveToken: note('moveToken'),
    findCircuits: note('findCircuits'),
    cancelCircuits: note('cancelCircuits'),
    openCircuit: note('openCircuit'),
    measureCollapse: note('measureCollapse'),
    cancelCollapse: note('cancelCollapse'),
    compareCollapse: note('compareCollapse'),
    copyText: note('copyText'),
    saveImage: note('saveImage'),
  };
}

async function open(first: LayerMapState, tab = 0, width = 1000): Promise<void> {
  calls = [];
  const options = { width, height: 900 };
  panel = await openPanel<LayerMapHost, LayerMapView>(browser, script, fakeHost(first), options);
  page = panel.page;
  await page.locator('main[data-state]:not([data-state="loading"])').waitFor();
  if (first.map.kind === 'ready') await page.getByRole('tab').nth(tab).click();
}

const show = async (change: Partial<LayerMapState>): Promise<void> => {
  await (await panel.view).call('show', change);
};
const cells = () => page.locator('.panel:not([hidden]) .principal [role=gridcell]');
const cell = (name: RegExp) => page.locator('.principal').getByRole('gridcell', { name });
const readout = () => page.locator('.readout');
const of = (method: string): unknown[] =>
  calls.filter(([called]) => called === method).map(([, input]) => input);

describe('the map of layers', () => {
  it('has a cell for every layer and buffer up to it, with the exact numbers', async () => {
    await open(state());
    // 16 layers without the first: 2 + 3 + ... + 16 cells.
    assert.equal(await cells().count(), 135);
    const { map } = layerMap().routers;
    const { map: initial } = layerMap().initial;
    const at = 9 * 16 + 4;
    const [value, before] = [map[at] ?? 0, initial[at] ?? 0];
    const label = await cell(/^Layer 9 reads buffer 4:/).getAttribute('aria-label');
    assert.match(
      label ?? '',
      new RegExp(`: ${value.toFixed(3)} \\(initially ${before.toFixed(3)}`),
    );
  });

  it('is a lower triangle with shares that sum to 1 in each row', async () => {
    await open(state());
    const sums = await page
      .locator('.principal [role=row]')
      .evaluateAll(rows =>
        rows.map(row =>
          [...row.querySelectorAll('[role=gridcell]')]
            .map(one => Number(/: ([\d.]+)/.exec(one.getAttribute('aria-label') ?? '')?.[1]))
            .reduce((sum, share) => sum + share, 0),
        ),
      );
    assert.equal(sums.length, 15);
    for (const sum of sums) assert.ok(Math.abs(sum - 1) < 0.01, `${sum}`);
    const widths = await page
      .locator('.principal [role=row]')
      .evaluateAll(rows => rows.map(row => row.querySelectorAll('[role=gridcell]').length));
    assert.deepEqual(
      widths,
      Array.from({ length: 15 }, (_, i) => i + 2),
    );
  });

  it('is darker, or lighter, where a share is larger, in every theme', async () => {
    await open(state());
    for (const theme of ['dark', 'light'] as const) {
      await panel.setTheme(theme);
      const order = await page.evaluate(() => {
        const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
        if (!canvas) throw new Error('no canvas');
        const luminance = (element: Element): number => {
          canvas.fillStyle = getComputedStyle(element).fill;
          canvas.fillRect(0, 0, 1, 1);
          const [r = 0, g = 0, b = 0] = canvas.getImageData(0, 0, 1, 1).data;
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        return [...document.querySelectorAll('.principal .bar .tone')].map(luminance);
      });
      const isSorted = (sign: number): boolean =>
        order.every((value, i) => i === 0 || sign * (value - (order[i - 1] ?? 0)) >= -0.6);
      // The bar's top is the largest value: lightest in the dark theme, darkest in the light one.
      assert.ok(isSorted(theme === 'dark' ? -1 : 1), `${theme}: ${order.join(' ')}`);
      assert.ok(Math.abs((order[0] ?? 0) - (order.at(-1) ?? 0)) > 90);
    }
  });

  it('is read with the arrow keys, Home and End, and selects with Enter', async () => {
    await open(state());
    await page.keyboard.press('Tab'); // from the tab list past the tools
    await page.locator('.principal [role=gridcell][tabindex="0"]').focus();
    assert.match(
      await readout().innerText(),
      /^Layer 1 reads buffer 0, of the embeddings: 0\.\d{3}/,
    );
    for (const key of ['ArrowDown', 'ArrowDown', 'End']) await page.keyboard.press(key);
    assert.match(await readout().innerText(), /^Layer 3 reads its own buffer 3:/);
    await page.keyboard.press('ArrowUp');
    assert.match(await readout().innerText(), /^Layer 2 reads its own buffer 2:/);
    await page.keyboard.press('Control+End');
    assert.match(await readout().innerText(), /^Layer 15 reads its own buffer 15:/);
    await page.keyboard.press('Home');
    assert.match(await readout().innerText(), /^Layer 15 reads buffer 0/);
    assert.equal(await page.locator('.principal [tabindex="0"]').count(), 1);
    await page.keyboard.press('Enter');
    await eventually(() => assert.equal(of('selectRoute').length, 1));
    const [{ route }] = of('selectRoute') as [{ route: { layer: number; buffer: number } }];
    assert.equal(route.layer, 15);
    assert.equal(route.buffer, 0);
  });

  it('says the number under the pointer and marks the cell in both maps', async () => {
    await open(state());
    await cell(/^Layer 5 reads buffer 2:/).hover();
    assert.match(await readout().innerText(), /^Layer 5 reads buffer 2: 0\.\d{3} \(initially/);
    assert.equal(await page.locator('.panel:not([hidden]) .reading:not([hidden])').count(), 2);
  });

  it('subtracts the initial map: signed, with a legend of both signs', async () => {
    await open(state());
    await page.locator('vscode-checkbox', { hasText: 'Subtract initial' }).click();
    const { map } = layerMap().routers;
    const { map: initial } = layerMap().initial;
    const expected = Array.from({ length: 16 }, (_, layer) => layer)
      .flatMap(layer => Array.from({ length: layer + 1 }, (_, j) => layer * 16 + j))
      .slice(1)
      .filter(i => (map[i] ?? 0) < (initial[i] ?? 0)).length;
    assert.equal(await page.locator('.principal [role=gridcell].negative').count(), expected);
    const legend = await page.locator('.principal .bar text').allTextContents();
    assert.match(legend[0] ?? '', /^\+0\.\d+$/);
    assert.match(legend.at(-1) ?? '', /^−0\.\d+$/);
    assert.match((await page.locator('.principal .mapTitle').textContent()) ?? '', /less initial$/);
  });
});

describe('the map of heads', () => {
  it('has a panel for every layer, and shows the chosen one large', async () => {
    await open(state(), 1);
    assert.equal(await page.locator('.panel:not([hidden]) .thumbnail').count(), 15);
    await page.getByRole('button', { name: 'Layer 6', exact: true }).click();
    assert.equal(await cells().count(), 8 * 7);
    await cell(/^Layer 6, key-value head 3 reads buffer 2:/).click();
    // Two heads of queries read each key and value head: 3 begins at 6.
    await eventually(() =>
      assert.deepEqual(of('selectRoute'), [{ route: { layer: 6, head: 6, buffer: 2 } }]),
    );
  });
});

describe('the map of a document', () => {
  const route = { layer: 9, head: 3, buffer: 2 };

  it('is asked for only while it is looked at', async () => {
    await open(state(), 2);
    await page.getByRole('tab', { name: 'Layers' }).click();
    await eventually(() =>
      assert.deepEqual(of('watchDocument'), [{ on: false }, { on: true }, { on: false }]),
    );
  });

  it('says what was run, and how', async () => {
    await open(state({ document: { kind: 'ready', value: documentMap({ isPart: true }) } }), 2);
    const text = await page.locator('.panel:not([hidden])').innerText();
    assert.match(text, /chemistry\.md: 412 tokens around what is visible, of a longer document\./);
    assert.match(text, /Shares of the mean norm of R V/);
    await page.getByRole('radio', { name: 'Heads' }).check();
    assert.equal(await page.locator('.panel:not([hidden]) .thumbnail').count(), 15);
  });

  it('shows progress, and a failure with a way out', async () => {
    await open(state({ document: { kind: 'busy', step: 'Running', fraction: 0.4 } }), 2);
    assert.match(await page.locator('main').innerText(), /Running\s+40 %/);
    await show({ document: { kind: 'failed', message: 'The engine stopped.' } });
    assert.match(await page.locator('main').innerText(), /The engine stopped\./);
    await page.getByRole('button', { name: 'Try Again' }).click();
    await eventually(() => assert.deepEqual(of('retry'), [{ part: 'document' }]));
  });

  it('tints the file by the selected route', async () => {
    await open(state());
    await show({ selection: { route, tint: false, tinted: null, problem: null } });
    assert.equal(await page.getByRole('spinbutton', { name: 'Layer' }).inputValue(), '9');
    await page.locator('vscode-checkbox', { hasText: 'Tint the file' }).click();
    await eventually(() => assert.deepEqual(of('setTint'), [{ on: true }]));
    const tinted = { tokens: 412, mean: 0.1234, max: 0.5 };
    await show({ selection: { route, tint: true, tinted, problem: null } });
    assert.match(await page.locator('.routeBar').innerText(), /mean share 0\.123; .* 0\.500/);
    await page.getByLabel('Buffer', { exact: true }).fill('99');
    await page.keyboard.press('Tab');
    await eventually(() =>
      assert.deepEqual(of('selectRoute'), [{ route: { ...route, buffer: 9 } }]),
    );
  });
});

describe('the map of a token', () => {
  const ready = (): LayerMapState =>
    state({
      document: { kind: 'ready', value: documentMap() },
      token: { kind: 'ready', value: tokenMap() },
    });

  it('shows the token, and each head or their mean', async () => {
    await open(ready(), 3);
    assert.equal(await page.locator('mark').textContent(), 'analgesic');
    const { shares } = tokenMap();
    const at = (head: number): number => shares[(9 * 16 + head) * 16 + 4] ?? 0;
    const mean = Array.from({ length: 16 }, (_, head) => at(head)).reduce((a, b) => a + b) / 16;
    const label = (): Promise<string | null> =>
      cell(/^Layer 9.*reads buffer 4:/).getAttribute('aria-label');
    assert.match((await label()) ?? '', new RegExp(`: ${mean.toFixed(3)} `));
    await page.getByLabel('Head', { exact: true }).first().selectOption('5');
    assert.match((await label()) ?? '', new RegExp(`head 5, reads.*: ${at(5).toFixed(3)} `));
  });

  it('moves with the arrow keys, faster than the answers come', async () => {
    await open(ready(), 3);
    await page.getByTitle('Next token').focus();
    for (const key of ['ArrowRight', 'ArrowRight', 'ArrowLeft', 'End'])
      await page.keyboard.press(key);
    await eventually(() =>
      assert.deepEqual(
        of('moveToken'),
        [13, 14, 13, 411].map(token => ({ token })),
      ),
    );
    await show({ token: { kind: 'ready', value: tokenMap({ token: 13, text: ' that' }) } });
    assert.match(await page.locator('.tokenStrip').innerText(), /Token 14 of 412, line 3/);
  });
});

describe('what the maps come from', () => {
  it('an ordinary model: the identity, and an offer to fit', async () => {
    await open(layerMapStates['identity']?.state ?? state());
    assert.match(await page.locator('header').innerText(), /the identity is its true map/);
    const label = await cell(/^Layer 7 reads its own buffer 7:/).getAttribute('aria-label');
    assert.match(label ?? '', /: 1\.000 \(initially 1\.000, 0\.000\)$/);
    await page.getByRole('button', { name: 'Fit LIMe Routers on Workspace' }).click();
    await eventually(() => assert.deepEqual(of('run'), [{ command: 'fitRouters' }]));
  });

  it('fitted routers: a badge, what they were fitted on, and the model’s own', async () => {
    await open(layerMapStates['fitted']?.state ?? state());
    const text = await page.locator('header').innerText();
    assert.match(text, /Fitted, not trained/);
    assert.match(text, /204,800 tokens: held-out CE 3\.413 → 3\.288/);
    await page.getByLabel('Routers').selectOption({ label: 'The model’s own' });
    await eventually(() => assert.deepEqual(of('chooseRouters'), [{ path: null }]));
  });

  it('a failure says what to do', async () => {
    await open(layerMapStates['failed']?.state ?? state());
    assert.match(await page.locator('main').innerText(), /There is no model at/);
    await page.getByRole('button', { name: 'Choose Model' }).click();
    await eventually(() => assert.deepEqual(of('run'), [{ command: 'chooseModel' }]));
  });
});

describe('circuits', () => {
  it('are found, cancelled, listed and opened', async () => {
    const selection = layerMapStates['circuits']?.state.selection ?? state().selection;
    await open(state({ selection }), 4);
    await page.getByRole('button', { name: 'Find' }).click();
    await show({ circuits: { kind: 'busy', step: 'Running the workspace', fraction: 0.25 } });
    assert.match(await page.locator('main').innerText(), /Running the workspace\s+25 %/);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await show({ circuits: layerMapStates['circuits']?.state.circuits ?? { kind: 'none' } });
    assert.match(await page.locator('.found').innerText(), /0\.812[\s\S]*realised/);
    await page.getByRole('button', { name: 'Open the token in file1.md' }).click();
    await eventually(() =>
      assert.deepEqual(
        calls.filter(([method]) => method !== 'watchDocument'),
        [
          ['findCircuits', null],
          ['cancelCircuits', null],
          ['openCircuit', { index: 1 }],
        ],
      ),
    );
  });
});

describe('copying', () => {
  const copied = (): Promise<string> => page.evaluate(() => navigator.clipboard.readText());
  const copy = async (form: string): Promise<void> => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.getByRole('button', { name: `Copy ${form}` }).click();
    await page.getByText(`${form} copied`).waitFor();
  };

  it('CSV has every cell with its exact number', async () => {
    await open(state());
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
    await open(state(), 1);
    await copy('CSV');
    const lines = (await copied()).trimEnd().split('\n');
    assert.equal(lines[0], 'layer,head,buffer,share,initial');
    assert.equal(lines.length, 1 + 8 * 135);
  });

  it('SVG stands on its own: plain colours, the texts, no reference to anything', async () => {
    await open(state());
    await copy('SVG');
    const svg = await copied();
    assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" width="\d+" height="\d+"/);
    assert.match(svg, /Normalised mean \|R\|/);
    assert.doesNotMatch(svg, /var\(|color-mix|oklab|class=/);
    assert.ok([...svg.matchAll(/<rect /g)].length > 270);
  });

  it('PNG is a picture of twice the size', async () => {
    await open(state());
    await copy('PNG');
    const size = await page.evaluate(async () => {
      const [item] = await navigator.clipboard.read();
      const bitmap = await createImageBitmap((await item?.getType('image/png')) ?? new Blob());
      return [bitmap.width, bitmap.height];
    });
    assert.ok((size[0] ?? 0) > 1600 && (size[1] ?? 0) > 800, size.join(' x '));
  });

  it('asks the host where the page may not write the clipboard', async () => {
    await open(state());
    await page.evaluate(() => {
      const refuse = (): Promise<never> => Promise.reject(new Error('not allowed'));
      Object.assign(navigator.clipboard, { writeText: refuse, write: refuse });
    });
    await page.getByRole('button', { name: 'Copy CSV' }).click();
    await page.getByText('CSV copied').waitFor();
    await page.getByRole('button', { name: 'Copy PNG' }).click();
    await page.getByText('PNG saved').waitFor();
    const [{ text }] = of('copyText') as [{ text: string }];
    assert.match(text, /^layer,buffer,share,initial\n1,0,/);
    const [{ png }] = of('saveImage') as [{ png: Record<number, number> }];
    assert.deepEqual([png[0], png[1], png[2], png[3]], [0x89, 0x50, 0x4e, 0x47]);
  });
});

describe('the tabs', () => {
  it('are chosen with the arrow keys, Home and End', async () => {
    await open(state());
    await page.getByRole('tab', { name: 'Layers' }).focus();
    const chosen = (): Promise<string> => page.getByRole('tab', { selected: true }).innerText();
    await page.keyboard.press('ArrowRight');
    assert.equal(await chosen(), 'Heads');
    await page.keyboard.press('End');
    assert.equal(await chosen(), 'Collapse');
    await page.keyboard.press('ArrowRight');
    assert.equal(await chosen(), 'Layers');
  });
});

describe('the layer map panel in every theme and state', () => {
  for (const [name, { tab, state: first }] of Object.entries(layerMapStates)) {
    it(`draws ${name}`, async () => {
      await open(first, tab);
      await page.evaluate(axe);
      for (const theme of themeNames) {
        await panel.setTheme(theme);
        const file = path.join(screenshotFolder, `layerMap-${name}-${theme}.png`);
        await page.screenshot({ path: file, fullPage: true });
        assert.deepEqual(await seriousFaults(page), [], `${name} in ${theme}`);
      }
    });
  }

  for (const name of ['layers', 'heads', 'token', 'fitted', 'circuits', 'collapse']) {
    it(`fits 360 px: ${name}`, async () => {
      const found = layerMapStates[name];
      await open(found?.state ?? state(), found?.tab, 360);
      const overflow = await page.evaluate(() => {
        const { scrollWidth, clientWidth } = document.documentElement;
        return scrollWidth - clientWidth;
      });
      assert.equal(overflow, 0, 'the page scrolls sideways');
    });
  }
});
