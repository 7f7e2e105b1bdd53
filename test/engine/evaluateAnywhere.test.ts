import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Hook } from '../../src/contracts/hooks.ts';
import { evaluate } from '../../src/engine/analysis/evaluate.ts';
import { ModelRunner } from '../../src/engine/model/modelRunner.ts';
import { SaeRunner } from '../../src/engine/saes/saeRunner.ts';
import { hookWidth } from '../../src/models/hooks.ts';
import type { Dictionary } from '../../src/saes/dictionary.ts';
import { fixture } from './model.ts';

/** The SAE that gives back what it reads: relu(x) - relu(-x). EV 1, CE as without it (SAEBench's baseline). */
function identitySae(hook: Hook, D: number): Dictionary {
  const rows = new Float32Array(2 * D * D);
  for (let i = 0; i < D; i++) {
    rows[i * D + i] = 1;
    rows[(D + i) * D + i] = -1;
  }
  return {
    name: 'identity',
    hook,
    width: 2 * D,
    inputWidth: D,
    encoder: rows,
    encoderBias: new Float32Array(2 * D),
    decoder: rows,
    decoderBias: new Float32Array(D),
    subtractDecoderBias: false,
    rule: { kind: 'relu' },
    tokenPolicy: { excludeFirst: false, maxNorm: Infinity },
    model: undefined,
    provenance: {},
  };
}

const places = [
  'hook_resid_pre',
  'ln1.hook_normalized',
  'attn.hook_q',
  'attn.hook_k',
  'attn.hook_v',
  'attn.hook_z',
  'hook_attn_out',
  'ln2.hook_normalized',
  'mlp.hook_in',
  'mlp.hook_post',
  'hook_mlp_out',
  'hook_resid_post',
] as const;

let cacheFolder: string;
before(async () => {
  cacheFolder = await mkdtemp(join(tmpdir(), 'loupe-anywhere-'));
});
after(() => rm(cacheFolder, { recursive: true }));

describe('The SAE that gives back what it reads changes nothing, wherever it is spliced in', () => {
  // Layers side by side and one after the other, norms on both sides, LayerNorm, packed matrices.
  for (const name of ['gpt_neox', 'gpt2', 'gemma3', 'phi3', 'qwen3']) {
    it(name, async t => {
      const path = fixture(`architectures/${name}`);
      const model = await ModelRunner.open({ path, cacheFolder, threads: 1 });
      const tokenIds = Uint32Array.from({ length: 24 }, (_, i) => (i * 17 + 3) % 61);
      let worst = 0;
      for (const place of places) {
        const hook: Hook = `blocks.1.${place}`;
        const D = hookWidth(hook, model.config);
        const sae = await SaeRunner.open(identitySae(hook, D), { threads: 1, maxActive: 2 * D });
        const { results } = await evaluate(model, sae, { tokenIds, windowLength: 12, ks: [2 * D] });
        const [{ ev, ce, l0 } = assert.fail('no results')] = results;
        assert.ok(Math.abs(ev - 1) < 1e-9, hook);
        assert.ok(Math.abs(ce.sae - ce.clean) < 1e-5, `${hook}: ${ce.sae - ce.clean}`);
        // Something is lost where zeros take its place; of keys and queries alike.
        assert.ok(Math.abs(ce.zero - ce.clean) > 1e-3, hook);
        assert.ok(l0 > D / 3 && l0 <= D, hook);
        worst = Math.max(worst, Math.abs(ce.sae - ce.clean));
        await sae.dispose();
      }
      t.diagnostic(`largest change of CE ${worst.toExponential(1)} nats at ${places.length} hooks`);
      await model.dispose();
    });
  }
});
