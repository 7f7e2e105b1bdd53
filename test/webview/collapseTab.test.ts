import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import type {
  CollapseState,
  LayerMapHost,
  LayerMapState,
  LayerMapView,
} from '../../src/contracts/layerMapPanel.ts';
import type { Handlers } from '../../src/messages/calls.ts';
import { bundle, launch, type Bundle } from './browser.ts';
import { eventually } from './fakeHosts.ts';
import { collapse, fittedMap, layerMapStates, state } from './layerMapStates.ts';
import { openPanel, type PanelPage } from './panelPage.ts';

let browser: Browser;
let script: Bundle;
let panel: PanelPage<LayerMapView>;
let page: Page;
let calls: [string, unknown][];

before(async () => {
  [browser, script] = await Promise.all([launch(), bundle('layerMap')]);
});
after(() => browser.close());
afterEach(async () => {
  const { complaints } = panel;
  await panel.close();
  assert.deepEqual(complaints, []);
});

async function open(first: LayerMapState): Promise<void> {
  calls = [];
  const note =
    (method: string) =>
    (input: unknown): null => {
      calls.push([method, input]);
      return null;
    };
  const methods = [
    'watchDocument',
    'measureCollapse',
    'cancelCollapse',
    'compareCollapse',
    'copyText',
  ];
  const handlers = {
    ready: () => first,
    ...Object.fromEntries(methods.map(method => [method, note(method)])),
  } as unknown as Handlers<LayerMapHost>;
  panel = await openPanel<LayerMapHost, LayerMapView>(browser, script, handlers, {
    width: 1000,
    height: 900,
  });
  page = panel.page;
  await page.getByRole('tab', { name: 'Collapse' }).click();
}

const of = (method: string): unknown[] =>
  calls.filter(([called]) => called === method).map(([, input]) => input);
const show = async (change: CollapseState): Promise<void> => {
  await (await panel.view).call('show', { collapse: change });
};
const both = () => layerMapStates['collapse']?.state ?? state();

describe('the collapse tab', () => {
  it('asks for the words and the text that are chosen', async () => {
    await open(state());
    await page.getByRole('button', { name: 'Measure' }).click();
    await page.getByRole('textbox', { name: 'Words' }).fill('one,two  three');
    await page.getByRole('radio', { name: 'Workspace' }).check();
    await page.getByRole('button', { name: 'Measure' }).click();
    await eventually(() => assert.equal(of('measureCollapse').length, 2));
    assert.deepEqual(of('measureCollapse'), [
      { words: ['is', 'are', 'was', 'were'], text: 'document' },
      { words: ['one', 'two', 'three'], text: 'workspace' },
    ]);
  });

  it('can be cancelled, and says why it failed', async () => {
    await open(state());
    await show({ against: null, work: { kind: 'busy', step: 'Reading the text', fraction: 0.5 } });
    await page.getByText('Reading the text').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Measure' }).count(), 0);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await eventually(() => assert.equal(of('cancelCollapse').length, 1));
    await show({ against: null, work: { kind: 'failed', message: 'The word "x" is 2 tokens.' } });
    assert.equal(await page.getByRole('alert').textContent(), 'The word "x" is 2 tokens.');
    await page.getByRole('button', { name: 'Try Again' }).click();
    await eventually(() => assert.equal(of('measureCollapse').length, 1));
  });

  it('compares with another model, or with the model that routers were fitted to', async () => {
    await open(state({ map: { kind: 'ready', value: fittedMap() } }));
    const select = page.getByRole('combobox', { name: 'Compare with' });
    const options = () => select.locator('option').allTextContents();
    assert.deepEqual(await options(), ['Nothing', 'This model without routers', 'Another model…']);
    await select.selectOption({ label: 'This model without routers' });
    await select.selectOption({ label: 'Another model…' });
    await eventually(() => assert.equal(of('compareCollapse').length, 2));
    assert.deepEqual(of('compareCollapse'), [{ with: 'unfitted' }, { with: 'file' }]);
    await show({ against: { kind: 'file', name: 'other' }, work: { kind: 'none' } });
    await eventually(async () => assert.equal(await select.inputValue(), 'file'));
    assert.ok((await options()).includes('other'));
    // The dialog was closed without a choice.
    await show({ against: null, work: { kind: 'none' } });
    await eventually(async () => assert.equal(await select.inputValue(), 'none'));
  });

  it('draws a line for each place of each model, and has the numbers in a table', async () => {
    await open(both());
    assert.equal(await page.locator('.layerChart').count(), 2);
    // Routes say nothing here.
    assert.equal(await page.locator('.readout').isVisible(), false);
    assert.equal(await page.locator('.layerChart').first().locator('path.line').count(), 4);
    assert.equal(await page.locator('.layerChart .chance').count(), 0);
    const names = ['LIMe 1B', 'Llama 1B'].flatMap(name =>
      ['values', 'hidden states'].map(place => `${name}, ${place}`),
    );
    assert.deepEqual(
      await page.getByRole('list', { name: 'Lines' }).locator('li').allTextContents(),
      names,
    );
    await page.getByText('Numbers', { exact: true }).click();
    const row = page.getByRole('row', { name: /^4 / });
    assert.deepEqual((await row.getByRole('cell').allTextContents()).slice(0, 3), [
      '6.460 ± 0.050',
      '6.200 ± 0.050',
      '6.300 ± 0.050',
    ]);
    assert.equal(await page.getByRole('row').count(), 17);
    const tip = await page.locator('.layerChart circle title').first().textContent();
    assert.equal(tip, 'LIMe 1B, values, layer 0: 6.500 ± 0.050');
  });

  it('shows the tokens of a layer, of each model beside the other', async () => {
    await open(both());
    const figures = page.locator('.planes figure');
    assert.deepEqual(await figures.locator('figcaption').allTextContents(), [
      'LIMe 1B',
      'Llama 1B',
    ]);
    assert.equal(await figures.first().locator('.mark').count(), 80);
    const layer = page.getByRole('combobox', { name: 'Layer' });
    assert.equal(await layer.inputValue(), '15');
    const place = () => figures.last().locator('.mark').first().getAttribute('transform');
    const before = await place();
    await layer.selectOption('3');
    assert.notEqual(await place(), before);
    await page.getByRole('radio', { name: 'Hidden states' }).check();
    const label = await figures.first().locator('svg').getAttribute('aria-label');
    assert.equal(label, '80 tokens of LIMe 1B at layer 3, hidden states: near ones are alike.');
    // Words differ by shape, not by colour alone.
    const marks = await figures
      .first()
      .locator('.mark')
      .evaluateAll(all => all.map(one => one.getAttribute('d')));
    assert.equal(new Set(marks).size, 4);
  });

  it('goes without accuracies and planes where they were not measured', async () => {
    const result = collapse(false);
    const layers = result.layers.map(layer => ({
      values: { ...layer.values, separability: null },
      hiddenStates: { ...layer.hiddenStates, separability: null },
    }));
    const models = [
      { name: 'a "model"', result: { ...result, layers, chance: null, projections: [] } },
    ];
    await open(
      state({
        collapse: { against: null, work: { kind: 'ready', value: { text: 'notes.md', models } } },
      }),
    );
    assert.equal(await page.locator('.layerChart').count(), 1);
    assert.equal(await page.locator('.tokenPlanes').isVisible(), false);
    await page.getByRole('button', { name: 'Copy CSV' }).click();
    await eventually(() => assert.equal(of('copyText').length, 1));
    const [copied] = of('copyText') as { text: string }[];
    const lines = copied?.text.split('\n') ?? [];
    assert.equal(lines.length, 1 + 32 + 1);
    assert.equal(lines[1], '"a ""model""",0,values,6.5,0.05,,');
  });
});
