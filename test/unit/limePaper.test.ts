import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { armNamed } from '../../bench/papers/lime/cell.ts';
import { holdGradients, holdRouters } from '../../bench/papers/lime/arms.ts';
import { bytePairTokenizer, wordCounts } from '../../bench/papers/lime/bytePairs.ts';
import { initialWeights, parametersOf, valuesOf } from '../../bench/papers/lime/parameters.ts';
import { absoluteMap } from '../../bench/papers/lime/routerMap.ts';
import type { ModelConfig } from '../../src/models/model.ts';
import { jsonTokenizer } from '../../src/models/tokenizers/tokenizerJson.ts';

const config: ModelConfig = {
  ...{ architecture: 'lime', name: 'small', layers: 5, width: 8, feedForward: 8, heads: 2 },
  ...{ keyValueHeads: 2, headWidth: 4, vocabulary: 20, contextLength: 8, ropeTheta: 10000 },
  ...{ normEpsilon: 1e-5, tiedEmbedding: true },
};

describe('byte-pair tokenizer', () => {
  // Sennrich et al. 2016, section 3.2, without its end-of-word symbol.
  const counts = new Map([
    ['low', 5],
    ['lower', 2],
    ['newest', 6],
    ['widest', 3],
  ]);
  const merges = (size: number): unknown =>
    (JSON.parse(bytePairTokenizer(counts, size)) as { model: { merges: unknown } }).model.merges;

  it('merges the pairs that occur most often, first those of the earliest bytes', () => {
    // es 9, st 9, we 8: after es, "es t" 9; l o 7, lo w 7; n e 6, e w 6 ...
    const expected = [
      ['e', 's'],
      ['es', 't'],
      ['l', 'o'],
      ['lo', 'w'],
    ];
    assert.deepEqual(merges(257 + expected.length), expected);
  });

  it('stops when no pair occurs twice', () => {
    const json = bytePairTokenizer(new Map([['ab', 1]]), 300);
    assert.deepEqual((JSON.parse(json) as { model: { merges: unknown } }).model.merges, []);
  });

  it('is a file that Loupe reads: text comes back, words are split as GPT-2 splits them', () => {
    const text = "It's 42 low  newest\nnaïve — low";
    assert.deepEqual(
      [...wordCounts([text])],
      [
        ['It', 1],
        ["'s", 1],
        [' 42', 1],
        [' low', 2],
        [' ', 1],
        [' newest', 1],
        ['\n', 1],
        ['naïve', 1],
        [' —', 1],
      ],
    );
    const tokenizer = jsonTokenizer(bytePairTokenizer(counts, 262), 'tokenizer.json', 262);
    const { ids } = tokenizer.encode(text);
    assert.equal(tokenizer.decode(ids), text);
    assert.equal(tokenizer.tokenText(ids.at(-1) ?? NaN), 'low');
  });
});

describe("routers of the experiment's arms", () => {
  const parameters = parametersOf(config);
  const deepest = parameters.find(({ name }) => name === 'blocks.4.router');
  assert.ok(deepest);
  /** Buffers of which layer 4 reads anything, from its row of the map. */
  const read = (name: string): number[] => {
    const weights = initialWeights(parameters, 0);
    holdRouters(weights, parameters, armNamed(name));
    const row = absoluteMap(weights, parameters).slice(20);
    assert.ok(Math.abs(row.reduce((sum, share) => sum + share, 0) - 1) < 1e-6);
    return row.flatMap((share, buffer) => (share > 0 ? [buffer] : []));
  };

  it('read the buffers that their names say', () => {
    assert.deepEqual(read('lime'), [0, 1, 2, 3, 4]);
    assert.deepEqual(read('last-2'), [3, 4]);
    assert.deepEqual(read('last-4'), [1, 2, 3, 4]);
    assert.deepEqual(read('first-2'), [0, 1, 3, 4]);
    assert.deepEqual(read('first-4'), [0, 1, 2, 3, 4]);
  });

  it('begin with the identity for the own layer and U(-b, b) for others', () => {
    const router = valuesOf(initialWeights(parameters, 0), deepest);
    assert.deepEqual([...router.subarray(8, 10), ...router.subarray(18, 20)], [1, 0, 0, 1]);
    const others = [...router].filter((_, at) => at % 10 < 8);
    assert.ok(others.every(value => value !== 0 && Math.abs(value) <= Math.sqrt(3 / 10)));
  });

  it('are the mean of each head over the layers for the fixed average, and get no gradient', () => {
    const weights = initialWeights(parameters, 0);
    holdRouters(weights, parameters, armNamed('average'));
    const fifth = Math.fround(1 / 5);
    const even = [fifth, 0, fifth, 0, fifth, 0, fifth, 0, fifth, 0];
    assert.deepEqual([...valuesOf(weights, deepest)], [...even, ...even.toReversed()]);
    const gradient = new Float32Array(weights.length).fill(1);
    holdGradients(gradient, parameters, armNamed('average'));
    assert.ok(valuesOf(gradient, deepest).every(value => value === 0));
    assert.equal(gradient[0], 1);
  });

  it('are all that a LIMe of a seed does not share with its LLaMA', () => {
    const plain = parametersOf({ ...config, architecture: 'llama' });
    const [own, other] = [initialWeights(parameters, 7), initialWeights(plain, 7)];
    for (const parameter of plain) {
      const its = parameters.find(({ name }) => name === parameter.name);
      assert.ok(its);
      assert.deepEqual(valuesOf(own, its), valuesOf(other, parameter));
    }
    assert.notDeepEqual(initialWeights(plain, 8), other);
  });
});
