import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import type { Distribution, SaeCard } from '../../src/contracts/lookAt.ts';
import type { SaeCardHost, SaeCardState, SaeCardView } from '../../src/contracts/saeCardPanel.ts';
import { seriousFaults } from './accessibility.ts';
import { axeSource, bundle, launch, screenshotFolder, type Bundle } from './browser.ts';
import { eventually } from './fakeHosts.ts';
import { openPanel, type PanelPage } from './panelPage.ts';
import { themeNames } from './themes.ts';

const spread: Distribution = {
  min: 0.5,
  mean: 1,
  max: 2.5,
  counts: Uint32Array.from({ length: 40 }, (_, i) =>
    Math.round(3000 * Math.exp(-(((i - 9) / 6) ** 2))),
  ),
  left: 0,
};
const card: SaeCard = {
  kind: 'sae',
  name: 'gemma-2-2b-res <16k>',
  path: '/saes/gemma',
  hook: 'blocks.12.hook_resid_post',
  features: 16_384,
  inputWidth: 2304,
  rule: 'jumprelu',
  maxK: null,
  model: 'gemma-2-2b',
  base: null,
  subtractsDecoderBias: false,
  decoderNorms: { ...spread, min: 1, max: 1, counts: Uint32Array.of(16_384) },
  encoderNorms: spread,
  thresholds: spread,
  density: { ...spread, min: -6, mean: -3.2, max: -0.1, left: 12, source: 'sparsity.safetensors' },
  files: [
    { name: 'sae_weights.safetensors', bytes: 302_000_000 },
    { name: 'cfg.json', bytes: 900 },
  ],
  notes: [
    ['dataset_path', 'monology/pile-uncopyrighted'],
    ['context_size', '1024'],
  ],
};
const states: Readonly<Record<string, SaeCardState>> = {
  sae: { kind: 'sae', card, inUse: false, usable: true, obstacle: null },
  inUse: { kind: 'sae', card, inUse: true, usable: true, obstacle: null },
  doesNotFit: {
    kind: 'sae',
    card: { ...card, rule: 'topk', maxK: 64, thresholds: null, density: null, base: 'a base' },
    inUse: false,
    usable: false,
    obstacle: 'It reads activations of width 2304; those of SmolLM2 are 576 wide.',
  },
  tensors: {
    kind: 'tensors',
    table: {
      kind: 'tensors',
      name: 'model.safetensors',
      obstacle: 'cfg.json has "d_sae": nothing, expected a whole number above 0.',
      tensors: Array.from({ length: 40 }, (_, i) => ({
        name: `model.layers.${String(i)}.self_attn.q_proj.weight`,
        dtype: 'BF16',
        shape: [2048, 576],
        bytes: 2_359_296,
      })),
      files: [{ name: 'model.safetensors', bytes: 94_371_840 }],
      notes: [['format', 'pt']],
    },
  },
  loading: { kind: 'loading' },
  failed: { kind: 'failed', message: 'There is no W_enc in it. Download the file again.' },
};

let browser: Browser;
let page: Bundle;
let axe: string;
before(async () => {
  mkdirSync(screenshotFolder, { recursive: true });
  [browser, page, axe] = await Promise.all([launch(), bundle('saeCard'), axeSource()]);
});
after(() => browser.close());

async function open(state: SaeCardState, width = 1000, use: () => void = () => undefined) {
  const handlers = {
    ready: () => state,
    use: () => {
      use();
      return null;
    },
  };
  const panel = await openPanel<SaeCardHost, SaeCardView>(browser, page, handlers, {
    width,
    height: 900,
  });
  await panel.page.locator(`main[data-state="${state.kind}"]`).waitFor();
  return panel;
}

describe('the SAE card', () => {
  for (const [name, state] of Object.entries(states)) {
    it(`draws ${name} in every theme, for everybody`, async () => {
      const panel = await open(state);
      await checkThemes(panel, `saeCard-${name}`);
      await panel.close();
    });
  }

  for (const name of ['sae', 'tensors'] as const) {
    it(`fits 320 px: ${name}`, async () => {
      const panel = await open(states[name] ?? { kind: 'loading' }, 320);
      const overflow = await panel.page.evaluate(() => {
        const { scrollWidth, clientWidth } = document.documentElement;
        return scrollWidth - clientWidth;
      });
      assert.equal(overflow, 0, 'the page scrolls sideways');
      await panel.close();
    });
  }

  it('says shape, kind, hook, model, norms, thresholds, density and sizes', async () => {
    const panel = await open(states['sae'] ?? { kind: 'loading' });
    const text = await panel.page.locator('main').innerText();
    for (const said of [
      'gemma-2-2b-res <16k>',
      '16,384 features of activations 2,304 wide at blocks.12.hook_resid_post',
      'jumprelu',
      '7.1 features per dimension',
      '1.00 on average, 0.50 to 2.50',
      '12 of 16,384 never fired',
      '302 MB',
      'monology/pile-uncopyrighted',
    ]) {
      assert.ok(text.includes(said), `${said} in ${text}`);
    }
    // A histogram of one value says nothing.
    assert.equal(await panel.page.locator('.plot').count(), 3);
    const density = panel.page.getByRole('img', { name: /^Density: .* from −6\.00 up to −0\.10/ });
    assert.equal(await density.count(), 1);
    await panel.close();
  });

  it('is used by the keyboard, and says so when it is in use', async () => {
    let used = 0;
    const panel = await open(states['sae'] ?? { kind: 'loading' }, 1000, () => used++);
    await panel.page.keyboard.press('Tab');
    await panel.page.keyboard.press('Enter');
    await eventually(() => assert.equal(used, 1));
    await (await panel.view).call('show', states['inUse'] ?? { kind: 'loading' });
    await panel.page.getByText('This SAE is in use.').waitFor();
    assert.equal(await panel.page.getByText('Use This SAE').count(), 0);
    assert.deepEqual(panel.complaints, []);
    await panel.close();
  });
});

/** In every theme: no policy violation, no serious accessibility fault, and a screenshot for people. */
async function checkThemes(panel: PanelPage<SaeCardView>, name: string): Promise<void> {
  await panel.page.evaluate(axe);
  for (const theme of themeNames) {
    await panel.setTheme(theme);
    const file = path.join(screenshotFolder, `${name}-${theme}.png`);
    await panel.page.screenshot({ path: file, fullPage: true });
    assert.deepEqual(await seriousFaults(panel.page), [], `${name} in ${theme}`);
  }
  assert.deepEqual(panel.complaints, [], name);
}
