import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LayerMapState } from '../../src/contracts/layerMapPanel.ts';
import { eventually } from './fakeHosts.ts';
import { layerMapPage } from './layerMapPage.ts';
import { documentMap, layerMap, layerMapStates, state, tokenMap } from './layerMapStates.ts';

const panel = layerMapPage();

describe('the map of layers', () => {
  it('has a cell for every layer and buffer up to it, with the exact numbers', async () => {
    await panel.open(state());
    // 16 layers without the first: 2 + 3 + ... + 16 cells.
    assert.equal(await panel.cells().count(), 135);
    const { map } = layerMap().routers;
    const { map: initial } = layerMap().initial;
    const at = 9 * 16 + 4;
    const [value, before] = [map[at] ?? 0, initial[at] ?? 0];
    const label = await panel.cell(/^Layer 9 reads buffer 4:/).getAttribute('aria-label');
    assert.match(
      label ?? '',
      new RegExp(`: ${value.toFixed(3)} \\(initially ${before.toFixed(3)}`),
    );
  });

  it('is a lower triangle with shares that sum to 1 in each row', async () => {
    await panel.open(state());
    const sums = await panel.page
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
    const widths = await panel.page
      .locator('.principal [role=row]')
      .evaluateAll(rows => rows.map(row => row.querySelectorAll('[role=gridcell]').length));
    assert.deepEqual(
      widths,
      Array.from({ length: 15 }, (_, i) => i + 2),
    );
  });

  it('is darker, or lighter, where a share is larger, in every theme', async () => {
    await panel.open(state());
    for (const theme of ['dark', 'light'] as const) {
      await panel.setTheme(theme);
      const order = await panel.page.evaluate(() => {
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
    await panel.open(state());
    await panel.page.keyboard.press('Tab'); // from the tab list past the tools
    await panel.page.locator('.principal [role=gridcell][tabindex="0"]').focus();
    assert.match(
      await panel.readout().innerText(),
      /^Layer 1 reads buffer 0, of the embeddings: 0\.\d{3}/,
    );
    for (const key of ['ArrowDown', 'ArrowDown', 'End']) await panel.page.keyboard.press(key);
    assert.match(await panel.readout().innerText(), /^Layer 3 reads its own buffer 3:/);
    await panel.page.keyboard.press('ArrowUp');
    assert.match(await panel.readout().innerText(), /^Layer 2 reads its own buffer 2:/);
    await panel.page.keyboard.press('Control+End');
    assert.match(await panel.readout().innerText(), /^Layer 15 reads its own buffer 15:/);
    await panel.page.keyboard.press('Home');
    assert.match(await panel.readout().innerText(), /^Layer 15 reads buffer 0/);
    assert.equal(await panel.page.locator('.principal [tabindex="0"]').count(), 1);
    await panel.page.keyboard.press('Enter');
    await eventually(() => assert.equal(panel.of('selectRoute').length, 1));
    const [{ route }] = panel.of('selectRoute') as [{ route: { layer: number; buffer: number } }];
    assert.equal(route.layer, 15);
    assert.equal(route.buffer, 0);
  });

  it('says the number under the pointer and marks the cell in both maps', async () => {
    await panel.open(state());
    await panel.cell(/^Layer 5 reads buffer 2:/).hover();
    assert.match(
      await panel.readout().innerText(),
      /^Layer 5 reads buffer 2: 0\.\d{3} \(initially/,
    );
    assert.equal(
      await panel.page.locator('.panel:not([hidden]) .reading:not([hidden])').count(),
      2,
    );
  });

  it('subtracts the initial map: signed, with a legend of both signs', async () => {
    await panel.open(state());
    await panel.page.locator('vscode-checkbox', { hasText: 'Subtract initial' }).click();
    const { map } = layerMap().routers;
    const { map: initial } = layerMap().initial;
    const expected = Array.from({ length: 16 }, (_, layer) => layer)
      .flatMap(layer => Array.from({ length: layer + 1 }, (_, j) => layer * 16 + j))
      .slice(1)
      .filter(i => (map[i] ?? 0) < (initial[i] ?? 0)).length;
    assert.equal(await panel.page.locator('.principal [role=gridcell].negative').count(), expected);
    const legend = await panel.page.locator('.principal .bar text').allTextContents();
    assert.match(legend[0] ?? '', /^\+0\.\d+$/);
    assert.match(legend.at(-1) ?? '', /^−0\.\d+$/);
    assert.match(
      (await panel.page.locator('.principal .mapTitle').textContent()) ?? '',
      /less initial$/,
    );
  });
});

describe('the map of heads', () => {
  it('has a panel for every layer, and shows the chosen one large', async () => {
    await panel.open(state(), 1);
    assert.equal(await panel.page.locator('.panel:not([hidden]) .thumbnail').count(), 15);
    await panel.page.getByRole('button', { name: 'Layer 6', exact: true }).click();
    assert.equal(await panel.cells().count(), 8 * 7);
    await panel.cell(/^Layer 6, key-value head 3 reads buffer 2:/).click();
    // Two heads of queries read each key and value head: 3 begins at 6.
    await eventually(() =>
      assert.deepEqual(panel.of('selectRoute'), [{ route: { layer: 6, head: 6, buffer: 2 } }]),
    );
  });
});

describe('the map of a document', () => {
  const route = { layer: 9, head: 3, buffer: 2 };

  it('is asked for only while it is looked at', async () => {
    await panel.open(state(), 2);
    await panel.page.getByRole('tab', { name: 'Layers' }).click();
    await eventually(() =>
      assert.deepEqual(panel.of('watchDocument'), [{ on: false }, { on: true }, { on: false }]),
    );
  });

  it('says what was run, and how', async () => {
    await panel.open(
      state({ document: { kind: 'ready', value: documentMap({ isPart: true }) } }),
      2,
    );
    const text = await panel.page.locator('.panel:not([hidden])').innerText();
    assert.match(text, /chemistry\.md: 412 tokens around what is visible, of a longer document\./);
    assert.match(text, /Shares of the mean norm of R V/);
    await panel.page.getByRole('radio', { name: 'Heads' }).check();
    assert.equal(await panel.page.locator('.panel:not([hidden]) .thumbnail').count(), 15);
  });

  it('shows progress, and a failure with a way out', async () => {
    await panel.open(state({ document: { kind: 'busy', step: 'Running', fraction: 0.4 } }), 2);
    assert.match(await panel.page.locator('main').innerText(), /Running\s+40 %/);
    await panel.show({ document: { kind: 'failed', message: 'The engine stopped.' } });
    assert.match(await panel.page.locator('main').innerText(), /The engine stopped\./);
    await panel.page.getByRole('button', { name: 'Try Again' }).click();
    await eventually(() => assert.deepEqual(panel.of('retry'), [{ part: 'document' }]));
  });

  it('tints the file by the selected route', async () => {
    await panel.open(state());
    await panel.show({ selection: { route, tint: false, tinted: null, problem: null } });
    assert.equal(await panel.page.getByRole('spinbutton', { name: 'Layer' }).inputValue(), '9');
    await panel.page.locator('vscode-checkbox', { hasText: 'Tint the file' }).click();
    await eventually(() => assert.deepEqual(panel.of('setTint'), [{ on: true }]));
    const tinted = { tokens: 412, mean: 0.1234, max: 0.5 };
    await panel.show({ selection: { route, tint: true, tinted, problem: null } });
    assert.match(await panel.page.locator('.routeBar').innerText(), /mean share 0\.123; .* 0\.500/);
    await panel.page.getByLabel('Buffer', { exact: true }).fill('99');
    await panel.page.keyboard.press('Tab');
    await eventually(() =>
      assert.deepEqual(panel.of('selectRoute'), [{ route: { ...route, buffer: 9 } }]),
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
    await panel.open(ready(), 3);
    assert.equal(await panel.page.locator('mark').textContent(), 'analgesic');
    const { shares } = tokenMap();
    const at = (head: number): number => shares[(9 * 16 + head) * 16 + 4] ?? 0;
    const mean = Array.from({ length: 16 }, (_, head) => at(head)).reduce((a, b) => a + b) / 16;
    const label = (): Promise<string | null> =>
      panel.cell(/^Layer 9.*reads buffer 4:/).getAttribute('aria-label');
    assert.match((await label()) ?? '', new RegExp(`: ${mean.toFixed(3)} `));
    await panel.page.getByLabel('Head', { exact: true }).first().selectOption('5');
    assert.match((await label()) ?? '', new RegExp(`head 5, reads.*: ${at(5).toFixed(3)} `));
  });

  it('moves with the arrow keys, faster than the answers come', async () => {
    await panel.open(ready(), 3);
    await panel.page.getByTitle('Next token').focus();
    for (const key of ['ArrowRight', 'ArrowRight', 'ArrowLeft', 'End'])
      await panel.page.keyboard.press(key);
    await eventually(() =>
      assert.deepEqual(
        panel.of('moveToken'),
        [13, 14, 13, 411].map(token => ({ token })),
      ),
    );
    await panel.show({ token: { kind: 'ready', value: tokenMap({ token: 13, text: ' that' }) } });
    assert.match(await panel.page.locator('.tokenStrip').innerText(), /Token 14 of 412, line 3/);
  });
});

describe('what the maps come from', () => {
  it('an ordinary model: the identity, and an offer to fit', async () => {
    await panel.open(layerMapStates['identity']?.state ?? state());
    assert.match(await panel.page.locator('header').innerText(), /the identity is its true map/);
    const label = await panel.cell(/^Layer 7 reads its own buffer 7:/).getAttribute('aria-label');
    assert.match(label ?? '', /: 1\.000 \(initially 1\.000, 0\.000\)$/);
    await panel.page.getByRole('button', { name: 'Fit LIMe Routers on Workspace' }).click();
    await eventually(() => assert.deepEqual(panel.of('run'), [{ command: 'fitRouters' }]));
  });

  it('fitted routers: a badge, what they were fitted on, and the model’s own', async () => {
    await panel.open(layerMapStates['fitted']?.state ?? state());
    const text = await panel.page.locator('header').innerText();
    assert.match(text, /Fitted, not trained/);
    assert.match(text, /204,800 tokens: held-out CE 3\.413 → 3\.288/);
    await panel.page.getByLabel('Routers').selectOption({ label: 'The model’s own' });
    await eventually(() => assert.deepEqual(panel.of('chooseRouters'), [{ path: null }]));
  });

  it('a failure says what to do', async () => {
    await panel.open(layerMapStates['failed']?.state ?? state());
    assert.match(await panel.page.locator('main').innerText(), /There is no model at/);
    await panel.page.getByRole('button', { name: 'Choose Model' }).click();
    await eventually(() => assert.deepEqual(panel.of('run'), [{ command: 'chooseModel' }]));
  });
});

describe('circuits', () => {
  it('are found, cancelled, listed and opened', async () => {
    const selection = layerMapStates['circuits']?.state.selection ?? state().selection;
    await panel.open(state({ selection }), 4);
    await panel.page.getByRole('button', { name: 'Find' }).click();
    await panel.show({ circuits: { kind: 'busy', step: 'Running the workspace', fraction: 0.25 } });
    assert.match(await panel.page.locator('main').innerText(), /Running the workspace\s+25 %/);
    await panel.page.getByRole('button', { name: 'Cancel' }).click();
    await panel.show({ circuits: layerMapStates['circuits']?.state.circuits ?? { kind: 'none' } });
    assert.match(await panel.page.locator('.found').innerText(), /0\.812[\s\S]*realised/);
    await panel.page.getByRole('button', { name: 'Open the token in file1.md' }).click();
    await eventually(() =>
      assert.deepEqual(
        panel.calls.filter(([method]) => method !== 'watchDocument'),
        [
          ['findCircuits', null],
          ['cancelCircuits', null],
          ['openCircuit', { index: 1 }],
        ],
      ),
    );
  });
});
