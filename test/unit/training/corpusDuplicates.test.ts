import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NearDuplicates } from '../../../src/training/corpus/nearDuplicates.ts';
import { randomText } from './corpusFolder.ts';

/** Which of the texts are dropped, by index. */
function dropped(texts: readonly string[], seed = 0): number[] {
  const duplicates = new NearDuplicates(seed);
  return texts.flatMap((text, index) => (duplicates.add(text) ? [index] : []));
}

/** `text` with every `every`th word replaced. */
function edited(text: string, every: number): string {
  return text
    .split(' ')
    .map((word, i) => (i % every === every - 1 ? `edit${i}` : word))
    .join(' ');
}

/** The exact similarity, from sets of runs of five words. */
function jaccard(a: string, b: string): number {
  const [x, y] = [a, b].map(text => {
    const words = text.split(/\s+/);
    return new Set(words.slice(4).map((_, i) => words.slice(i, i + 5).join(' ')));
  });
  const both = [...(x ?? [])].filter(run => y?.has(run)).length;
  return both / ((x?.size ?? 0) + (y?.size ?? 0) - both);
}

const texts = Array.from({ length: 200 }, (_, i) => randomText(i + 1, 400));

describe('NearDuplicates', () => {
  it('keeps different texts', () => {
    assert.deepEqual(dropped(texts), []);
  });

  it('drops copies, and copies in other case, spacing and punctuation', () => {
    const [text = ''] = texts;
    const other = text.replaceAll(' ', ',\n  ').toUpperCase();
    assert.deepEqual(dropped([text, text, other]), [1, 2]);
  });

  it('drops edited copies over the threshold and keeps what is under it', () => {
    const lightly = texts.map(text => edited(text, 80));
    const heavily = texts.map(text => edited(text, 12));
    for (const [i, text] of texts.entries()) {
      assert.ok(jaccard(text, lightly[i] ?? '') > 0.87);
      assert.ok(jaccard(text, heavily[i] ?? '') < 0.5);
    }
    const found = dropped([...texts, ...lightly]).length;
    assert.ok(found >= 190, `${found} of 200 lightly edited copies found`);
    assert.deepEqual(dropped([...texts, ...heavily]), []);
  });

  it('finds a copy with a passage added', () => {
    const [text = '', added = ''] = texts;
    assert.deepEqual(dropped([text, `${text} ${added.slice(0, 150)}`]), [1]);
    assert.deepEqual(dropped([text, `${text} ${added}`]), []);
  });

  it('tells texts of other scripts apart', () => {
    const han = (seed: number): string =>
      Array.from(randomText(seed, 300).matchAll(/\d+/g), ([n]) =>
        String.fromCharCode(0x4e00 + Number(n)),
      ).join('');
    const edit = `${han(1).slice(0, 290)}冰冰冰冰`;
    assert.deepEqual(dropped([han(1), han(2), edit]), [2]);
    const russian = (text: string): string => text.replaceAll('word', 'слово');
    assert.deepEqual(dropped(texts.slice(0, 20).map(russian)), []);
  });

  for (const [language, header] of [
    [
      'C',
      `/*\n * Copyright 2026 Someone\n * ${randomText(900, 150).replaceAll('\n', '\n * ')}\n */`,
    ],
    [
      'Python',
      `#!/usr/bin/env python3\n# Copyright\n# ${randomText(901, 150).replaceAll('\n', '\n# ')}`,
    ],
    ['HTML', `<!-- Licensed under ${randomText(902, 150)} -->`],
  ] as const) {
    it(`does not take small ${language} files for copies because of their licence`, () => {
      const files = texts.slice(0, 20).map(text => `${header}\n${text.slice(0, 160)}\n`);
      assert.ok(jaccard(files[0] ?? '', files[1] ?? '') > 0.7);
      assert.deepEqual(dropped(files), []);
      assert.deepEqual(dropped([files[0] ?? '', files[0]?.replace('2026', '2027') ?? '']), [1]);
    });
  }

  it('drops short texts only where they are equal', () => {
    assert.deepEqual(dropped(['export {};', 'export {}; //', 'export {};', '', ' ']), [2]);
    const lines = Array.from({ length: 20_000 }, (_, i) => `The melting point of ${i} is unknown.`);
    assert.deepEqual(dropped(lines), []);
  });

  it('answers the same for the same seed', () => {
    const all = [...texts, ...texts.map(text => edited(text, 40))];
    assert.deepEqual(dropped(all, 7), dropped(all, 7));
  });

  it('takes time in proportion to the text', () => {
    const seconds = (words: number): number => {
      const text = randomText(1, words);
      const started = performance.now();
      new NearDuplicates(0).add(text);
      return performance.now() - started;
    };
    seconds(100_000);
    assert.ok(seconds(2_000_000) < 60 * Math.max(5, seconds(100_000)));
  });
});
