import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { heldOutItems, type SplitItem } from '../../../src/training/corpus/corpusSplit.ts';
import { cutSections, joinSections } from '../../../src/training/corpus/sections.ts';
import { randomText } from './corpusFolder.ts';

const items = (count: number, length: (index: number) => number = () => 1000): SplitItem[] =>
  Array.from({ length: count }, (_, i) => ({ key: `folder/file${i}.txt`, length: length(i) }));

function heldKeys(of: readonly SplitItem[], seed: number): Set<string> {
  const held = heldOutItems(of, seed);
  return new Set(of.filter((_, i) => held.has(i)).map(({ key }) => key));
}

/** Share of the text that is held out. */
function heldShare(of: readonly SplitItem[], seed: number): number {
  const held = heldOutItems(of, seed);
  const total = of.reduce((sum, { length }) => sum + length, 0);
  return of.reduce((sum, { length }, i) => sum + (held.has(i) ? length : 0), 0) / total;
}

describe('heldOutItems', () => {
  it('holds out about a tenth', () => {
    for (const seed of [0, 1, 2]) {
      const share = heldShare(items(5000), seed);
      assert.ok(share > 0.085 && share < 0.115, `${share}`);
    }
  });

  it('stays between a twentieth and a fifth of the text where files are few or uneven', () => {
    for (let seed = 0; seed < 200; seed++) {
      for (const of of [items(12), items(40, i => (i === 7 ? 1_000_000 : 10_000 + i))]) {
        const share = heldShare(of, seed);
        assert.ok(share >= 0.05 && share <= 0.2, `${share}`);
      }
    }
  });

  it('holds out one of two, and trains on one', () => {
    for (let seed = 0; seed < 50; seed++) {
      assert.equal(heldOutItems(items(2), seed).size, 1);
      assert.deepEqual(
        [
          ...heldOutItems(
            items(2, i => (i === 0 ? 9000 : 10)),
            seed,
          ),
        ],
        [1],
      );
      const few = heldOutItems(items(4), seed).size;
      assert.ok(few === 1, `${few}`);
    }
    assert.equal(heldOutItems(items(1), 0).size, 0);
    assert.equal(heldOutItems([], 0).size, 0);
  });

  it('leaves every file on its side when others come and go', () => {
    const all = items(1000);
    const held = heldKeys(all, 3);
    const fewer = all.filter((_, i) => i % 3 !== 0);
    assert.deepEqual(
      heldKeys(fewer, 3),
      new Set([...held].filter(key => fewer.some(item => item.key === key))),
    );
    assert.deepEqual(heldKeys([...all].reverse(), 3), held);
  });

  it('differs by seed', () => {
    assert.notDeepEqual(heldKeys(items(1000), 1), heldKeys(items(1000), 2));
  });
});

describe('cutSections', () => {
  const paragraphs = Array.from({ length: 60 }, (_, i) => randomText(i, 4 + (i % 7))).join('\n\n');
  const windows = paragraphs.replaceAll('\n', '\r\n');
  const lines = randomText(1, 3000);
  for (const [name, text, end] of [
    ['paragraphs', paragraphs, /\n\n$/],
    ['paragraphs of Windows', windows, /\r\n\r\n$/],
    ['lines', lines, /\n$/],
    ['words', lines.replaceAll('\n', ''), / $/],
    ['nothing to cut at', '🧊'.repeat(3001), /🧊$/u],
  ] as const) {
    it(`cuts ${name} at their ends, and loses nothing`, () => {
      const sections = cutSections(text);
      assert.ok(sections.length >= 10);
      assert.equal(sections.map(({ start, end: to }) => text.slice(start, to)).join(''), text);
      for (const { start, end: to } of sections.slice(0, -1)) {
        assert.match(text.slice(start, to), end);
        assert.doesNotMatch(text.slice(start, to), /\p{Surrogate}/u);
      }
    });
  }

  it('leaves a short text whole', () => {
    assert.deepEqual(cutSections('short'), [{ start: 0, end: 5 }]);
  });

  it('is joined again where neighbours are on one side', () => {
    const sections = [0, 1, 2, 3].map(i => ({ start: 10 * i, end: 10 * i + 10 }));
    assert.deepEqual(
      joinSections(sections, i => i === 2),
      [
        { start: 0, end: 20, heldOut: false },
        { start: 20, end: 30, heldOut: true },
        { start: 30, end: 40, heldOut: false },
      ],
    );
  });
});
