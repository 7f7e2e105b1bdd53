import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { AnalysisPart } from '../../src/contracts/engine.ts';
import { Analysis } from '../../src/engine/analysis/analysis.ts';
import { BoostedSae } from '../../src/engine/saes/boostedSae.ts';
import { ModelRunner } from '../../src/engine/model/modelRunner.ts';
import { requireModelFit } from '../../src/engine/saes/requireModelFit.ts';
import { SaeRunner } from '../../src/engine/saes/saeRunner.ts';
import type { Dictionary } from '../../src/saes/dictionary.ts';
import { hooksOf, targetHook } from '../../src/saes/target.ts';
import { ggufBytes, tinyLlama } from '../fixtures/tinyGguf.ts';
import { randomDictionary } from '../unit/dictionaries.ts';

let folder = '';
let model: ModelRunner;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-foreign-analysis-'));
  await writeFile(join(folder, 'tiny.gguf'), ggufBytes(tinyLlama()));
  model = await ModelRunner.open({
    path: join(folder, 'tiny.gguf'),
    cacheFolder: join(folder, 'cache'),
    threads: 1,
  });
});
after(async () => {
  await model.dispose();
  await rm(folder, { recursive: true, force: true });
});

const text = 'hellohelloabcdefghelloxyzhehello';

/** What the analysis says of every token, and the activations that it is of. */
async function analysed(dictionary: Dictionary) {
  requireModelFit(dictionary, model);
  const runner = await SaeRunner.open(dictionary, { threads: 1 });
  const parts: AnalysisPart[] = [];
  const analysis = new Analysis(model, new BoostedSae(runner));
  const visible = { start: 0, end: 1 };
  await analysis.analyze(
    { documentId: 'a', text, visible, predictions: 1 },
    { signal: new AbortController().signal, report: part => parts.push(part) },
  );
  parts.sort((a, b) => a.firstToken - b.firstToken);
  const { ids: tokenIds } = model.tokenizer.encode(text);
  const hooks = hooksOf(dictionary);
  const run = await model.run({ tokenIds, hooks, head: 'none' });
  const x = run.hooks.get(dictionary.hook) ?? assert.fail();
  const target = run.hooks.get(targetHook(dictionary)) ?? assert.fail();
  const encoding = await runner.encode(x);
  const reconstruction = runner.reconstruct(encoding, encoding.k);
  await runner.dispose();
  return { parts, tokens: tokenIds.length, target, reconstruction, k: encoding.k };
}

/** |a - b|^2 of each row. */
function distances(a: Float32Array, b: Float32Array, tokens: number): number[] {
  const width = a.length / tokens;
  return Array.from({ length: tokens }, (_, t) => {
    let sum = 0;
    for (let i = t * width; i < (t + 1) * width; i++) sum += ((a[i] ?? 0) - (b[i] ?? 0)) ** 2;
    return sum;
  });
}

function lessMean(values: Float32Array, width: number): Float32Array {
  return values.map((value, i) => {
    const row = values.subarray(i - (i % width), i - (i % width) + width);
    return value - row.reduce((sum, v) => sum + v, 0) / width;
  });
}

const shape = { seed: 3, width: 24, inputWidth: 64 } as const;
const transcoder: Dictionary = {
  ...randomDictionary(shape),
  hook: 'blocks.1.hook_resid_mid',
  output: { hook: 'blocks.1.hook_mlp_out', width: 64 },
};
const atHeads: Dictionary = {
  ...randomDictionary({ ...shape, seed: 4 }),
  hook: 'blocks.1.attn.hook_z',
  inputNorm: 'layer',
};

describe('the analysis of a document', () => {
  it('holds a transcoder to the activation at its output, others to what they read', async () => {
    for (const dictionary of [transcoder, atHeads]) {
      const { parts, tokens, target, reconstruction, k } = await analysed(dictionary);
      const errors = parts.flatMap(part =>
        Array.from(part.surprisal, (_, t) => part.squaredError[(t + 1) * k - 1] ?? NaN),
      );
      const norms = parts.flatMap(({ squaredNorm }) => [...squaredNorm]);
      const zeros = new Float32Array(target.length);
      for (const [found, expected] of [
        [errors, distances(target, reconstruction, tokens)],
        [norms, distances(target, zeros, tokens)],
      ] as const) {
        assert.equal(found.length, tokens);
        found.forEach((value, t) => {
          const other = expected[t] ?? NaN;
          assert.ok(Math.abs(value - other) < 1e-3 * (1 + other), `${t}: ${value}, ${other}`);
        });
      }
    }
  });

  it('holds a centred SAE to x less its mean', async () => {
    const dictionary = {
      ...randomDictionary(shape),
      hook: 'blocks.1.hook_resid_post',
      centred: true,
    } as const;
    const { parts, tokens, target, reconstruction, k } = await analysed(dictionary);
    const expected = distances(lessMean(target, 64), reconstruction, tokens);
    const found = parts.flatMap(part =>
      Array.from(part.surprisal, (_, t) => part.squaredError[(t + 1) * k - 1] ?? NaN),
    );
    found.forEach((value, t) => {
      const other = expected[t] ?? NaN;
      assert.ok(Math.abs(value - other) < 1e-3 * (1 + other), `${t}: ${value}, ${other}`);
    });
  });
});
