import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { generalTextSources } from '../../../scripts/generalTextSources.ts';
import { root } from '../../../scripts/targets.ts';
import { generalText } from '../../../src/common/embedded.ts';
import { readCorpus } from '../../../src/training/corpus/corpus.ts';
import { NearDuplicates } from '../../../src/training/corpus/nearDuplicates.ts';

async function passages(path: string): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of readCorpus([join(root, path)])) texts.push(text);
  return texts;
}

const heldOut = await passages(generalText.heldOut);
const mix = await passages(generalText.mix);
const length = (texts: readonly string[]): number =>
  texts.reduce((sum, text) => sum + text.length, 0);

describe('the general text that ships', () => {
  it('is as long as it is said to be, and small', () => {
    assert.ok(length(heldOut) > 400_000);
    assert.ok(length(mix) > 900_000);
    const bytes = Object.values(generalText).map(path => statSync(join(root, path)).size);
    assert.ok(bytes.reduce((a, b) => a + b) < 600_000);
  });

  it('holds only what one source claims, and something of every source', () => {
    for (const texts of [heldOut, mix]) {
      const claims = texts.map(text =>
        generalTextSources.filter(source => source.take(text) === text).map(({ name }) => name),
      );
      assert.ok(claims.every(names => names.length === 1));
      assert.equal(new Set(claims.flat()).size, generalTextSources.length);
    }
  });

  it('has no passage twice, and none of what is measured on among what is trained on', () => {
    const duplicates = new NearDuplicates(0);
    for (const text of [...heldOut, ...mix]) assert.equal(duplicates.add(text), false);
  });

  it('holds no text under another licence that says so', () => {
    for (const text of [...heldOut, ...mix])
      assert.doesNotMatch(text, /General Public License|\bGFDL\b|all rights reserved/i);
  });
});
