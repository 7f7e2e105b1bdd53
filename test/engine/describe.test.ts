import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import type { ModelInfo } from '../../src/contracts/engine.ts';
import { describeFeatures, type DescribingModel } from '../../src/engine/saes/describe.ts';
import { SaeRunner } from '../../src/engine/saes/saeRunner.ts';
import type { Dictionary } from '../../src/saes/dictionary.ts';
import { readFeatureCards } from '../../src/saes/featureCards.ts';
import { readable, tokensLabel } from '../../src/saes/featureLabel.ts';
import {
  readFeatureTable,
  writeFeatureTable,
  type FeatureTable,
} from '../../src/saes/featureTable.ts';
import { writeSaeLens } from '../../src/saes/formats/saelens.ts';
import { SafetensorsFile, writeSafetensors, type Tensor } from '../../src/weights/safetensors.ts';

/*
 * A model small enough to know every answer: token n has the activation (n, 0) if n is even, else (0, n), and feature
 * 0 and 1 read the two axes; feature 2 never fires.
 */
const hook = 'blocks.0.hook_resid_post';
const dictionary: Dictionary = {
  name: 'axes',
  hook,
  width: 3,
  inputWidth: 2,
  encoder: Float32Array.of(1, 0, 0, 1, 0, 0),
  encoderBias: Float32Array.of(0, 0, -1),
  decoder: Float32Array.of(1, 0, 0, 1, 1, 1),
  decoderBias: undefined,
  subtractDecoderBias: false,
  rule: { kind: 'topk', maxK: 2 },
  tokenPolicy: { excludeFirst: true, maxNorm: 90 },
  model: undefined,
  provenance: {},
};
const windowLength = 30;
const separator = 99;
const model: DescribingModel = {
  info: { name: 'tiny' } as ModelInfo,
  tokenizer: {
    vocabulary: 100,
    separator,
    bos: undefined,
    encode: () => assert.fail('not used'),
    tokenText: id => ` t${id}`,
    decode: () => assert.fail('not used'),
  },
  run: ({ tokenIds }) => {
    const x = Float32Array.from({ length: tokenIds.length * 2 }, (_, i) => {
      const id = tokenIds[i >> 1] ?? 0;
      return id % 2 === i % 2 ? id : 0;
    });
    return Promise.resolve({ hooks: new Map([[hook, x]]) });
  },
  unembed: rows => {
    const row = (i: number) =>
      [3, 2, 1].map(n => ({ id: 10 * i + n, logit: (rows[2 * i] ?? 0) + n }));
    return Promise.resolve([0, 1, 2].map(i => ({ raised: row(i), lowered: row(i).reverse() })));
  },
};

/** Two windows: the first may not be quoted, the second may. */
const unquotable = Uint32Array.from({ length: windowLength }, (_, i) => (i === 7 ? 88 : 2));
const quotable = Uint32Array.from({ length: windowLength }, (_, i) => 2 + 2 * (i % 5));
quotable[12] = separator;
quotable[20] = 60;
const texts = [
  { name: 'secret', tokenIds: unquotable, quotable: false },
  { name: 'open', tokenIds: quotable, quotable: true },
];

let folder = '';
let sae: SaeRunner;
let table: FeatureTable;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-describe-'));
  await writeSaeLens(dictionary, folder);
  sae = await SaeRunner.open(dictionary, { threads: 1 });
  table = await describeFeatures(model, sae, { texts, windowLength });
});
after(async () => {
  await sae.dispose();
  await rm(folder, { recursive: true, force: true });
});

/** The activations of feature 0 on every counted token: even ones, first tokens and norms above 90 left out. */
const counted = [...unquotable.slice(1), ...quotable.slice(1)].filter(id => id !== separator);
const fired = counted.filter(id => id % 2 === 0);

describe('describe', () => {
  it('counts over all text', () => {
    const [density = NaN, none = NaN] = table.density;
    assert.ok(Math.abs(density - fired.length / counted.length) < 1e-6);
    assert.equal(none, 0);
    assert.equal(table.maxActivation[0], 88);
    const expected = new Uint32Array(20);
    for (const id of fired) {
      const bin = Math.min(19, Math.floor((id / 88) * 20));
      expected[bin] = (expected[bin] ?? 0) + 1;
    }
    assert.deepEqual(table.histogram.slice(0, 20), expected);
    assert.equal(
      table.histogram.slice(40).some(count => count > 0),
      false,
    );
  });

  it('ranks tokens by their share of the summed activation', () => {
    const total = fired.reduce((sum, id) => sum + id, 0);
    const mass = (token: number) => fired.filter(id => id === token).length * token;
    const tokens = [...new Set(fired)].sort((a, b) => mass(b) - mass(a) || a - b).slice(0, 8);
    assert.deepEqual([...table.topTokens.slice(0, tokens.length)], tokens);
    tokens.forEach((token, i) => {
      assert.ok(Math.abs((table.topTokenShares[i] ?? 0) - mass(token) / total) < 1e-6);
      assert.equal(table.topTokenMeans[i], token);
    });
  });

  it('quotes only what may be quoted, strongest first, within one document', () => {
    assert.equal(table.exampleTokens.includes(88), false);
    const length = table.exampleLengths[0] ?? 0;
    // The peak is token 20 of the second window: 21 tokens that end with it, less those up to the separator at 12.
    assert.deepEqual([...table.exampleTokens.subarray(0, length)], [...quotable.slice(13, 30)]);
    assert.deepEqual(
      table.exampleActivations.slice(0, length),
      Float32Array.from(quotable.slice(13, 30)),
    );
    assert.equal(table.exampleSources[0], 1);
    const peaks = Array.from({ length: 6 }, (_, i) =>
      Math.max(...table.exampleActivations.subarray(i * 21, i * 21 + 21)),
    );
    assert.deepEqual(peaks.slice(0, 2), [60, 10]);
    assert.deepEqual([...table.exampleLengths.subarray(6)], new Array(12).fill(0));
  });

  it('leaves BOS out of what it quotes and counts', async () => {
    const bos = 4;
    const tokenIds = Uint32Array.from(quotable);
    tokenIds[0] = bos;
    tokenIds[12] = 2;
    tokenIds[5] = 70;
    const led = { ...model, tokenizer: { ...model.tokenizer, bos } };
    const request = { texts: [{ name: 'led', tokenIds, quotable: true }], windowLength };
    const described = await describeFeatures(led, sae, request);
    const length = described.exampleLengths[0] ?? 0;
    assert.deepEqual([...described.exampleTokens.subarray(0, length)], [...tokenIds.slice(1, 22)]);
  });

  it('refuses more tokens than can be indexed, and text of which nothing is left', async () => {
    const tokenIds = { length: 2 ** 30 } as Uint32Array;
    const many = describeFeatures(model, sae, {
      texts: [{ name: 'x', tokenIds, quotable: true }],
      windowLength,
    });
    await assert.rejects(many, { code: 'too-large' });
    const outliers = new Uint32Array(windowLength).fill(97);
    const none = describeFeatures(model, sae, {
      texts: [{ name: 'x', tokenIds: outliers, quotable: true }],
      windowLength,
    });
    await assert.rejects(none, { code: 'empty' });
  });
});

/** The three tokens whose share of the feature exceeds their share of all text by most, in nats. */
function mostTelling(): string[] {
  const all = [...unquotable, ...quotable];
  const total = fired.reduce((sum, id) => sum + id, 0);
  const weight = (token: number) => {
    const share = (fired.filter(id => id === token).length * token) / total;
    return share * Math.log(share / (all.filter(id => id === token).length / all.length));
  };
  const tokens = [...new Set(fired)].sort((a, b) => weight(b) - weight(a)).slice(0, 3);
  assert.ok(!tokens.includes(2), 'the most frequent token tells nothing');
  return tokens.map(token => `t${token}`);
}

describe('feature cards', () => {
  it('come back from the file as they were measured', async () => {
    await writeFeatureTable(folder, table);
    const back = await readFeatureTable(folder, 3);
    assert.ok(back);
    for (const [field, values] of Object.entries(table)) {
      if (field === 'about') assert.deepEqual(back.about, values);
      else assertNear(back[field as 'density'], values as Float32Array, field);
    }
    const cards = await readFeatureCards(folder, 3, model.tokenizer);
    const card = cards?.card(0);
    assert.equal(card?.label, mostTelling().join(' · '));
    assert.equal(card.density, table.density[0]);
    assert.deepEqual(card.promoted[0], { token: ' t3', logit: 4 });
    assert.deepEqual(card.suppressed[0], { token: ' t1', logit: 2 });
    assert.equal(card.examples[0]?.source, 'open');
    assert.equal(card.examples[0].tokens.length, card.examples[0].activations.length);
    assert.match(
      card.convention,
      /57 tokens of secret \(30 tokens\), open \(30 tokens\).*examples from open;/,
    );
    assert.equal(cards?.labels.labels[2], '');
    assert.deepEqual(cards.card(2)?.topTokens, []);
    assert.equal(cards.card(3), undefined);
  });

  it('are refused beside other weights, of another width, altered or cut', async () => {
    const other = join(folder, 'other');
    await writeSaeLens({ ...dictionary, encoderBias: Float32Array.of(1, 0, 0) }, other);
    const path = join(other, 'features.safetensors');
    assert.equal(await readFeatureTable(other, 3), undefined);
    await cp(join(folder, 'features.safetensors'), path);
    await assert.rejects(readFeatureTable(other, 3), failure('mismatch', 'other weights'));
    await assert.rejects(
      readFeatureTable(folder, 4),
      failure('bad-file', 'density is F32 [3], expected F32 [4]'),
    );

    const original = await SafetensorsFile.open(join(folder, 'features.safetensors'));
    const alter = async (
      change: (t: Record<string, Tensor>, m: Record<string, string>) => void,
    ) => {
      const tensors: Record<string, Tensor> = {};
      for (const name of original.tensors.keys()) tensors[name] = await original.read(name);
      const metadata = Object.fromEntries(original.metadata);
      change(tensors, metadata);
      await cp(join(folder, 'sae_weights.safetensors'), join(other, 'sae_weights.safetensors'));
      await writeSafetensors(path, tensors, metadata);
    };
    await alter((_, metadata) => (metadata['format'] = 'loupe-features-2'));
    await assert.rejects(readFeatureTable(other, 3), failure('unsupported', 'loupe-features-2'));
    await alter((_, metadata) => (metadata['sources'] = '{'));
    await assert.rejects(
      readFeatureTable(other, 3),
      failure('bad-file', 'where its text comes from'),
    );
    await alter(tensors => delete tensors['promoted']);
    await assert.rejects(readFeatureTable(other, 3), failure('bad-file', 'promoted is missing'));
    await alter(
      t => (t['density'] = { dtype: 'F32', shape: [3], data: Float32Array.of(0, NaN, 0) }),
    );
    await assert.rejects(readFeatureTable(other, 3), failure('bad-file', 'density'));
    await alter(
      t =>
        (t['topTokens'] = {
          dtype: 'U32',
          shape: [3, 8],
          data: new Uint32Array(24).fill(2 ** 32 - 1),
        }),
    );
    const strange = await readFeatureCards(other, 3, model.tokenizer);
    assert.equal(strange?.card(0)?.topTokens[0]?.token, '#4294967295');
    await writeFile(path, (await readFile(path)).subarray(0, 500));
    await assert.rejects(readFeatureTable(other, 3), failure('bad-file', 'features.safetensors'));
  });
});

describe('a label', () => {
  const label = (...tokens: [string, number][]) =>
    tokensLabel(tokens.map(([token, weight]) => ({ token, weight })));

  it('joins the strongest tokens and merges the ways to write one word', () => {
    assert.equal(
      label([' acid', 0.4], [' chemical', 0.3], ['Acid', 0.2], [' base', 0.1]),
      'acid · chemical · base',
    );
    assert.equal(label([' the', 0.97], [' a', 0.02], [' an', 0.01]), 'the');
    assert.equal(label(), '');
  });

  it('makes white space and pieces of words visible', () => {
    const cases = [
      [' ', '␣'],
      ['\n', '↵'],
      ['\n\n', '↵↵'],
      ['\t', '⇥'],
      ['        ', '␣×8'],
      ['ing', '…ing'],
      [' ing', 'ing'],
      ['The', 'The'],
      [';\n', ';↵'],
      ['\\xE2', '\\xE2'],
      ['é', '…é'],
      ['日', '日'],
    ];
    for (const [token = '', expected] of cases) assert.equal(readable(token), expected);
  });
});

function assertNear(found: ArrayLike<number>, expected: ArrayLike<number>, field: string): void {
  assert.equal(found.length, expected.length, field);
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [found[i] ?? NaN, expected[i] ?? NaN];
    // float16 keeps 11 bits.
    assert.ok(Math.abs(a - b) <= 2 ** -11 * Math.abs(b), `${field} ${i}: ${a}, ${b}`);
  }
}

function failure(code: string, part: string) {
  return (error: unknown) => {
    assert.ok(error instanceof Failure, String(error));
    assert.deepEqual([error.code, error.message.includes(part)], [code, true], error.message);
    return true;
  };
}
