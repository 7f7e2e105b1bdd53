import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DocumentAnalysis, type TextEdit } from '../../src/analysis/documentAnalysis.ts';
import type { Kept } from '../../src/analysis/kept.ts';
import { Random } from '../../src/common/random.ts';
import { domainFeatures, dot, packPart, randomTokens, type KnownToken } from './analysisParts.ts';

const K = 6;
const F = 30;

/** An analysis of all tokens, in parts of `size`, the last part first. */
function analysisOf(tokens: readonly KnownToken[], size: number, shift = 0): DocumentAnalysis {
  const analysis = new DocumentAnalysis(F + 2 * domainFeatures, K);
  analysis.begin();
  const firsts = tokens.map((_, i) => i).filter(i => i % size === 0);
  for (const first of firsts.reverse()) {
    analysis.apply(packPart(tokens.slice(first, first + size), first, shift), shift);
  }
  analysis.finish({ tokens: tokens.length });
  return analysis;
}

/** The base's k strongest, no domain. */
function base(k: number): Kept {
  return { k, on: [] };
}

function active(token: KnownToken, k: number): KnownToken['features'] {
  return token.features.slice(0, k).filter(feature => feature.activation > 0);
}

function ranges(analysis: DocumentAnalysis): string[] {
  return analysis.tokensIn(0, 1e9, base(K)).map(token => `${token.start}-${token.end}`);
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
        const found = analysis.tokensIn(start, end, base(3));
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
      const { l0ByK, evByK, crossEntropy, tokens: count, ...metrics } = analysis.metrics([]);
      assert.deepEqual([count, metrics.excluded], [200, 200 - included.length]);
      assert.equal(metrics.full, included.filter(token => active(token, K).length === K).length);
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
        const { tokens: counts, maxActivation } = analysis.statistics(base(k));
        for (let feature = 0; feature < F; feature++) {
          const firings = included.flatMap(token =>
            active(token, k)
              .filter(a => a.feature === feature)
              .map(a => ({ start: token.start, end: token.end, activation: a.activation })),
          );
          assert.equal(counts[feature], firings.length);
          assert.equal(maxActivation[feature], Math.max(0, ...firings.map(f => f.activation)));
          assert.deepEqual(analysis.firings(feature, base(k)), firings);
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
        const tints = analysis.tints(base(4), pinned);
        assert.deepEqual(new Map(tints.map(tint => [tint.start, tint.strength])), expected);
        assert.equal(tints.length, expected.size);
      }
    });
  }
});

const subsets = [[], [0], [1], [0, 1]];

/** The features that count, in the order that a reader sees them in. */
function counted(token: KnownToken, { k, on }: Kept): KnownToken['features'] {
  const added = on.flatMap(domain => token.domains[domain]?.features ?? []);
  return [...active(token, k), ...added].sort((a, b) => b.activation - a.activation);
}

/** |x - xhat_k - sum of ehat|^2, the sum formed as it is written. */
function boostedError({ left, domains }: KnownToken, { k, on }: Kept): number {
  const rest = (left[k - 1] ?? []).map((value, d) =>
    on.reduce((e, domain) => e - (domains[domain]?.ehat[d] ?? NaN), value),
  );
  return dot(rest, rest);
}

describe('DocumentAnalysis with domains', () => {
  const tokens = randomTokens(new Random(21), 150, K, F);
  const included = tokens.filter(token => !token.excluded);
  const analysis = analysisOf(tokens, 40);
  const mean = [0, 1, 2].map(d => average(included.map(token => token.x[d] ?? 0)));
  const variance = total(
    included.map(token => total(mean.map((m, d) => ((token.x[d] ?? 0) - m) ** 2))),
  );

  for (const on of subsets) {
    const name = on.length === 0 ? 'none' : on.join(' and ');

    it(`knows EV and every token's error at every k (on: ${name})`, () => {
      const { boostedEvByK, evByK } = analysis.metrics(on);
      for (let k = 1; k <= K; k++) {
        const errors = included.map(token => boostedError(token, { k, on }));
        near(boostedEvByK[k - 1], 1 - total(errors) / variance, 1e-6);
        near(evByK[k - 1], 1 - total(included.map(t => t.errors[k - 1] ?? NaN)) / variance);
        analysis.tokensIn(0, 1e9, { k, on }).forEach(({ error }, i) => {
          const token = tokens[i];
          assert.ok(token);
          near(error.base ** 2, token.errors[k - 1] ?? NaN, 1e-6);
          near(error.boosted ** 2, boostedError(token, { k, on }), 1e-5);
        });
      }
    });

    it(`ranks the features of base and domains together (on: ${name})`, () => {
      const kept = { k: 4, on };
      const found = analysis.tokensIn(0, 1e9, kept);
      assert.deepEqual(
        found.map(({ features }) => features),
        tokens.map(token => counted(token, kept)),
      );
      const statistics = analysis.statistics(kept);
      for (let feature = 0; feature < F + 2 * domainFeatures; feature++) {
        const firings = included.flatMap(token =>
          counted(token, kept)
            .filter(a => a.feature === feature)
            .map(a => ({ start: token.start, end: token.end, activation: a.activation })),
        );
        assert.deepEqual(analysis.firings(feature, kept), firings);
        assert.equal(statistics.tokens[feature], firings.length);
      }
      const strongest = Math.max(...included.map(t => counted(t, kept)[0]?.activation ?? 0));
      const tints = analysis.tints(kept, undefined);
      assert.equal(Math.max(...tints.map(({ strength }) => strength)), 1);
      for (const token of included) {
        const strength = (counted(token, kept)[0]?.activation ?? 0) / strongest;
        const tint = tints.find(({ start, end }) => start === token.start && end === token.end);
        assert.ok((tint?.strength ?? 0) >= strength);
      }
    });

    it(`tints by what they change, relative to the largest change (on: ${name})`, () => {
      const kept = { k: 2, on };
      const changes = included.map(token => {
        const before = Math.sqrt(token.errors[1] ?? NaN);
        return { token, change: Math.sqrt(boostedError(token, kept)) / before - 1 };
      });
      const range = analysis.errorChange(kept);
      near(range.shrunk, Math.max(0, ...changes.map(({ change }) => -change)), 1e-5);
      near(range.grown, Math.max(0, ...changes.map(({ change }) => change)), 1e-5);
      const tints = analysis.errorTints(kept);
      if (on.length === 0) assert.deepEqual(tints, []);
      else {
        const largest = Math.max(range.shrunk, Math.min(1, range.grown));
        assert.equal(tints.length, changes.length);
        for (const [i, { token, change }] of changes.entries()) {
          const tint = tints.at(i);
          assert.deepEqual(
            [tint?.start, tint?.direction],
            [token.start, change < 0 ? 'shrunk' : 'grown'],
          );
          near(tint?.strength, Math.min(1, Math.abs(change) / largest), 1e-4);
        }
      }
    });
  }

  it('counts what fires of each domain', () => {
    const { domainL0 } = analysis.metrics([]);
    for (const domain of [0, 1]) {
      const counts = included.map(token => token.domains[domain]?.features.length ?? NaN);
      near(domainL0[domain], average(counts));
    }
  });

  it('gives the base bit for bit where domains add nothing', () => {
    const silent = tokens.map(token => ({
      ...token,
      domains: token.domains.map(() => ({ ehat: [0, 0, 0], features: [] })),
    }));
    const { evByK, boostedEvByK, domainL0 } = analysisOf(silent, 40).metrics([0, 1]);
    assert.deepEqual(boostedEvByK, evByK);
    assert.deepEqual(domainL0, [0, 0]);
    const found = analysisOf(silent, 40);
    assert.deepEqual(found.errorTints({ k: 3, on: [0, 1] }), []);
    for (const { error } of found.tokensIn(0, 1e9, { k: 3, on: [0, 1] })) {
      assert.equal(error.boosted, error.base);
    }
  });

  it('answers for other domains from before an edit, too', () => {
    const edited = analysisOf(tokens, 40);
    const before = edited.metrics([1]).boostedEvByK;
    edited.edit([{ offset: 3, removed: 1, inserted: 0 }]);
    assert.deepEqual(edited.metrics([1]).boostedEvByK, before);
  });
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
    const analysis = new DocumentAnalysis(F + 2 * domainFeatures, K);
    const line = old.map((token, i) => ({ ...token, start: i, end: i + 1 }));
    analysis.begin();
    analysis.apply(packPart(line.slice(0, 40), 0), 0);
    analysis.apply(packPart(other.slice(20, 60), 20), 0);
    analysis.finish({ tokens: 60 });
    const found = analysis.tokensIn(0, 60, base(K)).map(token => token.surprisal);
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
    const lines = other.slice(0, 10).map(token => `${token.start}-${token.end}`);
    assert.deepEqual(ranges(analysis), [
      ...lines,
      ...before.filter(range => Number(range.split('-')[0]) >= 10),
    ]);
    analysis.finish({ tokens: 10 });
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
    const before = analysis.metrics([]).evByK;
    analysis.edit([{ offset: 0, removed: 3, inserted: 0 }]);
    assert.deepEqual(analysis.metrics([]).evByK, before);
    const next = randomTokens(random, 40, K, F);
    analysis.begin();
    analysis.apply(packPart(next, 0), 0);
    analysis.finish({ tokens: 40 });
    assert.deepEqual(analysis.metrics([]).evByK, analysisOf(next, 10).metrics([]).evByK);
    assert.notDeepEqual(analysis.metrics([]).evByK, before);
  });
});

describe('DocumentAnalysis of almost nothing', () => {
  it('has no EV below two included tokens and none for constant activations', () => {
    const [token] = randomTokens(new Random(1), 1, K, F);
    assert.ok(token);
    const one = { ...token, start: 0, end: 1, excluded: false };
    assert.ok(analysisOf([one], 1).metrics([]).evByK.every(Number.isNaN));
    const two = { ...one, start: 1, end: 2 };
    assert.ok(analysisOf([one, two], 2).metrics([]).evByK.every(Number.isNaN));
    assert.ok(analysisOf([], 1).metrics([]).evByK.every(Number.isNaN));
    assert.ok(Number.isNaN(analysisOf([], 1).metrics([]).crossEntropy));
  });
});

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function average(values: readonly number[]): number {
  return total(values) / values.length;
}

function near(actual: number | undefined, expected: number, within = 1e-9): void {
  assert.ok(
    actual !== undefined && Math.abs(actual - expected) < within,
    `${String(actual)} is not ${expected}`,
  );
}
