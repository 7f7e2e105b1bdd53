import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { selectFeatures } from '../../src/analysis/featureStatistics.ts';
import type { FeatureQuery } from '../../src/contracts/panels.ts';

const statistics = {
  tokens: Uint32Array.of(3, 0, 1, 9, 3),
  maxActivation: Float32Array.of(2, 0, 8, 4, 2),
};
const labels = {
  labels: [' court law', 'never fires', 'Rain', ' the, of 2', ''],
  density: Float32Array.of(0.01, 0.5, NaN, 0.25, 0.001),
  convention: '',
};

const sources = [
  { name: 'base', hash: 'a', first: 0, features: 3 },
  { name: 'Chemistry', hash: 'b', first: 3, features: 2 },
];
const base = [{ name: 'base', hash: 'a', first: 0, features: 5 }];
const options = { denseAbove: 0.1, sources: base };

function select(
  query: Partial<FeatureQuery>,
  limit = 10,
): { features: number[]; matching: number } {
  const whole: FeatureQuery = { search: '', sort: 'strongest', hideDense: false, ...query };
  const { rows, matching } = selectFeatures(statistics, labels, whole, { ...options, limit });
  return { features: rows.map(row => row.feature), matching };
}

describe('selectFeatures', () => {
  it('leaves out features that do not fire, and sorts', () => {
    assert.deepEqual(select({}).features, [2, 3, 0, 4]);
    assert.deepEqual(select({ sort: 'mostTokens' }).features, [3, 0, 4, 2]);
    assert.deepEqual(select({ sort: 'rarest' }).features, [4, 0, 3, 2]);
  });

  it('searches labels by words in any case, and numbers with or without #', () => {
    assert.deepEqual(select({ search: 'LAW cou' }).features, [0]);
    assert.deepEqual(select({ search: 'rain' }).features, [2]);
    assert.deepEqual(select({ search: '#4' }).features, [4]);
    assert.deepEqual(select({ search: '2' }).features, [2, 3]);
    assert.deepEqual(select({ search: 'absent' }), { features: [], matching: 0 });
  });

  it('hides dense features but keeps those of unknown density', () => {
    assert.deepEqual(select({ hideDense: true }).features, [2, 0, 4]);
  });

  it('gives the first rows and says how many there are', () => {
    assert.deepEqual(select({}, 1), { features: [2], matching: 4 });
  });

  it('works without labels', () => {
    const query: FeatureQuery = { search: '3', sort: 'rarest', hideDense: true };
    const { rows } = selectFeatures(statistics, undefined, query, { ...options, limit: 9 });
    assert.deepEqual(
      rows.map(row => [row.feature, row.label, row.density]),
      [[3, '', NaN]],
    );
  });

  it('numbers the features of a domain within it, and finds them by its name', () => {
    const find = (search: string): unknown[] =>
      selectFeatures(
        statistics,
        labels,
        { search, sort: 'strongest', hideDense: false },
        { denseAbove: 0.1, limit: 9, sources },
      ).rows.map(({ feature, number, domain }) => [feature, number, domain]);
    assert.deepEqual(find('chemistry'), [
      [3, 0, 'Chemistry'],
      [4, 1, 'Chemistry'],
    ]);
    assert.deepEqual(find('#0'), [
      [3, 0, 'Chemistry'],
      [0, 0, null],
    ]);
  });
});
