import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  featureCount,
  featureName,
  locateFeature,
  parseFeature,
  sourcesOf,
} from '../../src/common/featureSources.ts';

const saes = {
  hash: 'a',
  features: 10,
  domains: [
    { name: 'chemistry', hash: 'b', first: 10, features: 4 },
    { name: 'law 2', hash: 'c', first: 14, features: 6 },
  ],
};
const sources = sourcesOf(saes);

describe('the numbers of features', () => {
  it('are those of the base, then those of one domain after the other', () => {
    assert.equal(featureCount(saes), 20);
    const names = [0, 9, 10, 13, 14, 19].map(feature => featureName(feature, sources));
    assert.deepEqual(names, ['#0', '#9', 'chemistry #0', 'chemistry #3', 'law 2 #0', 'law 2 #5']);
    assert.equal(locateFeature(20, sources), undefined);
    assert.equal(locateFeature(-1, sources), undefined);
  });

  it('are found by the name that people give a feature', () => {
    for (let feature = 0; feature < 20; feature++) {
      assert.equal(parseFeature(featureName(feature, sources), sources), feature);
    }
    assert.equal(parseFeature(' 7 ', sources), 7);
    assert.equal(parseFeature('law 2 5', sources), 19);
    for (const text of ['', '#', 'x', '10', '1.5', '-1', 'chemistry', 'chemistry #4', 'physics #1'])
      assert.equal(parseFeature(text, sources), undefined, text);
  });
});
