import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DocumentAnalysis, type TextEdit } from '../../src/analysis/documentAnalysis.ts';
import { Random } from '../../src/common/random.ts';
import { packPart, randomTokens, type KnownToken } from './analysisParts.ts';

const K = 6;
const F = 30;

/** An analysis of all tokens, in parts of `size`, the last part first. */
function analysisOf(tokens: readonly KnownToken[], size: number, shift = 0): DocumentAnalysis {
  const analysis = new DocumentAnalysis(F, K);
  analysis.begin();
  const firsts = tokens.map((_, i) => i).filter(i => i % size === 0);
  for (const first of firsts.reverse()) {
    analysis.apply(packPart(tokens.slice(first, first + size), first, shift), shift);
  }
  analysis.finish({ tokens: tokens.length });
  return analysis;
}

function active(token: KnownToken, k: number): KnownToken['features'] {
  return token.features.slice(0, k).filter(feature => feature.activation > 0);
}

function ranges(analysis: DocumentAnalysis): string[] {
  return analysis.tokensIn(0, 1e9, K).map(token => `${token.start}-${token.end}`);
}

describe('DocumentAnalysis against brute force', () => {
  for (const [seed, size] of [
    [1, 7],
    [2, 50],
    [3, 1],
    [4, 1000],
  ] as const) {
    const random = new Random(seed);
    const tokens = randomTokens(random, 200, K, F);
    const included = tokens.filter(token => !token.excluded);
    const analysis = analysisOf(tokens, size);

    it(`finds the tokens of any range (seed ${seed})`, () => {
      for (let i = 0; i < 300; i++) {
        const start = random.below(600);
        const end = start + 1 + random.below(6);
        const expected = tokens.filter(token => token.start < end && token.end > start);
        const found = analysis.tokensIn(start, end, 3);
        assert.deepEqual(
          found.map(({ start, end, excluded, features }) => ({ start, end, excluded, features })),
          expected.map(token => ({
            start: token.start,
            end: token.end,
            excluded: token.excluded,
            features: active(token, 3),
          })),
        );
        assert.deepEqual(
          found.map(token => token.surprisal),
          expected.map(token => token.surprisal),
        );
        assert.deepEqual(
          found.map(token => token.predictions[1]),
          expected.map(token => ({ text: `second${tokens.indexOf(token)}`, probability: 0.25 })),
        );
      }
    });

    it(`measures tokens, L0, EV and surprisal at every k (seed ${seed})`, () => {
      const { l0ByK, evByK, crossEntropy, ...counts } = analysis.metrics();
      assert.deepEqual(counts, { tokens: 200, excluded: 200 - included.length });
      const mean = [0, 1, 2].map(d => average(included.map(token => token.x[d] ?? 0)));
      const variance = total(
        included.map(token => total(mean.map((m, d) => ((token.x[d] ?? 0) - m) ** 2))),
      );
      for (let k = 1; k <= K; k++) {
        near(l0ByK[k - 1], average(included.map(token => active(token, k).length)));
        near(evByK[k - 1], 1 - total(included.map(token => token.errors[k - 1] ?? NaN)) / variance);
      }
      near(crossEntropy, average(tokens.slice(1).map(token => token.surprisal)));
    });

    it(`counts every feature and finds where it fires (seed ${seed})`, () => {
      for (const k of [1, 4, K]) {
        const { tokens: counts, maxActivation } = analysis.statistics(k);
        for (let feature = 0; feature < F; feature++) {
          const firings = included.flatMap(token =>
            active(token, k)
              .filter(a => a.feature === feature)
              .map(a => ({ start: token.start, end: token.end, activation: a.activation })),
          );
          assert.equal(counts[feature], firings.length);
          assert.equal(maxActivation[feature], Math.max(0, ...firings.map(f => f.activation)));
          assert.deepEqual(analysis.firings(feature, k), firings);
        }
      }
    });

    it(`tints by the strongest or the pinned feature, relative to the largest (seed ${seed})`, () => {
      for (const pinned of [undefined, 3]) {
        const strength = (token: KnownToken): number =>
          active(token, 4).find(a => pinned === undefined || a.feature === pinned)?.activation ?? 0;
        const largest = Math.max(...included.map(strength));
        const expected = new Map<number, number>();
        for (const token of included) {
          const relative = strength(token) / largest;
          if (relative > (expected.get(token.start) ?? 0)) expected.set(token.start, relative);
        }
        const tints = analysis.tints(4, pinned);
        assert.deepEqual(new Map(tints.map(tint => [tint.start, tint.strength])), expected);
        assert.equal(tints.length, expected.size);
      }
    });
  }
});

describe('DocumentAnalysis and parts that replace others', () => {
  const random = new Random(7);
  const old = randomTokens(random, 60, K, F);
  const other = randomTokens(random, 60, K, F).map((token, i) => ({
    ...token,
    start: i,
    end: i + 1,
  }));

  it('takes the later of two parts for the same tokens', () => {
    const analysis = new DocumentAnalysis(F, K);
    const line = old.map((token, i) => ({ ...token, start: i, end: i + 1 }));
    analysis.begin();
    analysis.apply(packPart(line.slice(0, 40), 0), 0);
    analysis.apply(packPart(other.slice(20, 60), 20), 0);
    analysis.finish({ tokens: 60 });
    const found = analysis.tokensIn(0, 60, K).map(token => token.surprisal);
    assert.deepEqual(
      found,
      [...line.slice(0, 20), ...other.slice(20)].map(token => token.surprisal),
    );
  });

  it('does not drop a token that shares its character with the last of another part', () => {
    const shared = old
      .slice(0, 4)
      .map((token, i) => ({ ...token, start: i === 3 ? 2 : i, end: i === 3 ? 3 : i + 1 }));
    const analysis = analysisOf(shared, 3);
    assert.deepEqual(ranges(analysis), ['0-1', '1-2', '2-3', '2-3']);
  });

  it('keeps what an earlier analysis said until the new one covers it, and nothing of it in the end', () => {
    const analysis = analysisOf(old, 10);
    const before = ranges(analysis);
    analysis.begin();
    analysis.apply(packPart(other.slice(0, 10), 0), 0);
    assert.equal(analysis.isPartial, true);
    const lines = other.slice(0, 10).map(token => `${token.start}-${token.end}`);
    assert.deepEqual(ranges(analysis), [
      ...lines,
      ...before.filter(range => Number(range.split('-')[0]) >= 10),
    ]);
    analysis.finish({ tokens: 10 });
    assert.equal(analysis.isPartial, false);
    assert.deepEqual(ranges(analysis), lines);
  });

  it('keeps tokens that the engine did not send again', () => {
    const analysis = analysisOf(old, 10);
    analysis.begin();
    analysis.finish({ tokens: 60 });
    assert.equal(analysis.tokenCount, 60);
  });

  it('counts from the start of the document where only a region was analysed', () => {
    const shifted = old.map(token => ({
      ...token,
      start: token.start + 100,
      end: token.end + 100,
    }));
    assert.deepEqual(
      ranges(analysisOf(shifted, 7, 100)),
      shifted.map(t => `${t.start}-${t.end}`),
    );
  });
});

describe('DocumentAnalysis after an edit', () => {
  it('keeps tokens before it, drops those it touches and moves those behind', () => {
    const random = new Random(11);
    for (let round = 0; round < 100; round++) {
      const tokens = randomTokens(random, 40, K, F);
      const analysis = analysisOf(tokens, 1 + random.below(20));
      let expected = tokens.map(({ start, end }) => ({ start, end }));
      const edits: TextEdit[] = [];
      for (let i = 0; i < 3; i++) {
        const offset = random.below(80);
        const edit = { offset, removed: random.below(6), inserted: random.below(6) };
        edits.push(edit);
        const delta = edit.inserted - edit.removed;
        expected = expected.flatMap(({ start, end }) => {
          if (end <= offset) return [{ start, end }];
          if (start < offset + edit.removed) return [];
          return start >= offset ? [{ start: start + delta, end: end + delta }] : [];
        });
      }
      analysis.edit(edits);
      assert.deepEqual(
        ranges(analysis),
        expected.map(({ start, end }) => `${start}-${end}`),
      );
      assert.equal(analysis.tokenCount, expected.length);
    }
  });

  it('shows the EV from before the edit until the next analysis ends', () => {
    const random = new Random(12);
    const tokens = randomTokens(random, 40, K, F);
    const analysis = analysisOf(tokens, 10);
    const before = analysis.metrics().evByK;
    analysis.edit([{ offset: 0, removed: 3, inserted: 0 }]);
    assert.deepEqual(analysis.metrics().evByK, before);
    const next = randomTokens(random, 40, K, F);
    analysis.begin();
    analysis.apply(packPart(next, 0), 0);
    analysis.finish({ tokens: 40 });
    assert.deepEqual(analysis.metrics().evByK, analysisOf(next, 10).metrics().evByK);
    assert.notDeepEqual(analysis.metrics().evByK, before);
  });
});

describe('DocumentAnalysis of almost nothing', () => {
  it('has no EV below two included tokens and none for constant activations', () => {
    const [token] = randomTokens(new Random(1), 1, K, F);
    assert.ok(token);
    const one = { ...token, start: 0, end: 1, excluded: false };
    assert.ok(analysisOf([one], 1).metrics().evByK.every(Number.isNaN));
    const two = { ...one, start: 1, end: 2 };
    assert.ok(analysisOf([one, two], 2).metrics().evByK.every(Number.isNaN));
    assert.ok(analysisOf([], 1).metrics().evByK.every(Number.isNaN));
    assert.ok(Number.isNaN(analysisOf([], 1).metrics().crossEntropy));
  });
});

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function average(values: readonly number[]): number {
  return total(values) / values.length;
}

function near(actual: number | undefined, expected: number): void {
  assert.ok(
    actual !== undefined && Math.abs(actual - expected) < 1e-9,
    `${String(actual)} is not ${expected}`,
  );
}
