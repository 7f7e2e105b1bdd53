import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { embeddedModel } from '../../../src/common/embedded.ts';
import { Failure } from '../../../src/common/failure.ts';
import type { Tokenizer } from '../../../src/models/model.ts';
import { ggufTokenizer } from '../../../src/models/tokenizers/ggufTokenizer.ts';
import type { CorpusDocument } from '../../../src/training/corpus/extract/document.ts';
import { PlacedText } from '../../../src/training/corpus/placedText.ts';
import { readGguf } from '../../../src/weights/gguf.ts';
import { randomText } from './corpusFolder.ts';

const tokenizer = ggufTokenizer(
  readGguf(fileURLToPath(new URL(`../../../${embeddedModel}`, import.meta.url))),
);

const multiByte = 'Die Säure löst 鉄 auf 🧪🧪 — Ω = 5 kΩ, 𝒙² ≤ 3.\nΧημεία und химия.\n';

function documentOf(
  text: string,
  path: string,
  more: Partial<CorpusDocument> = {},
): CorpusDocument {
  return { text, source: path, path, verbatim: true, start: 0, ...more };
}

function pack(documents: readonly CorpusDocument[], limit = Number.MAX_SAFE_INTEGER) {
  return PlacedText.pack(documents, tokenizer, { windowLength: 8, limit });
}

/** A tokenizer of the same ids whose model expects BOS. */
const bos = 1;
const led: Tokenizer = {
  vocabulary: tokenizer.vocabulary,
  separator: tokenizer.separator,
  bos,
  encode: text => tokenizer.encode(text),
  tokenText: id => tokenizer.tokenText(id),
  decode: ids => tokenizer.decode(ids),
};

/** The text of the files, by path, that the places of all tokens open. */
function opened(text: PlacedText, files: ReadonlyMap<string, string>): Map<string, string> {
  const found = new Map<string, string>();
  const ends = new Map<string, number>();
  for (let i = 0; i < text.tokenIds.length; i++) {
    const { before, token, after, place } = text.at(i, 12);
    if (!place) {
      const isBos = text.tokenIds[i] === bos && i % text.windowLength === 0;
      if (!isBos) assert.equal(text.tokenIds[i], tokenizer.separator, `token ${i}`);
      continue;
    }
    const file = files.get(place.path) ?? '';
    assert.equal(file.slice(place.start, place.start + token.length), token, `token ${i}`);
    assert.ok(file.slice(0, place.start).endsWith(before));
    assert.ok(file.slice(place.start + token.length).startsWith(after));
    assert.ok(before.length <= 12 && after.length <= 12);
    // Tokens that are parts of one character share its place.
    const end = ends.get(place.path) ?? place.start;
    if (place.start >= end) {
      assert.equal(place.start, end, `token ${i} follows the one before`);
      found.set(place.path, (found.get(place.path) ?? '') + token);
      ends.set(place.path, place.start + token.length);
    }
  }
  return found;
}

describe('PlacedText', () => {
  it('shows whole words around a token, and characters where words are longer', async () => {
    const words = 'the small house by the river has a garden with old trees and a white door';
    const text = await pack([
      documentOf(words, '/words.md'),
      documentOf('🧪'.repeat(40), '/🧪.md'),
    ]);
    const seen = (part: string, around: number) => {
      const all = Array.from(text.tokenIds, (_, i) => text.at(i, around));
      return all.find(({ token, place }) => place !== null && token.includes(part));
    };
    const found = seen(' garden', 14) ?? assert.fail('no garden');
    assert.equal(found.before, 'river has a');
    assert.equal(found.after, ' with old');
    const { before, after } = seen('🧪', 7) ?? assert.fail('no 🧪');
    assert.doesNotMatch(before + after, /\p{Surrogate}/u);
  });

  it('opens every token of several documents at its text, multi-byte and all', async () => {
    const files = new Map([
      ['/a.md', multiByte.repeat(3)],
      ['/empty.md', ''],
      ['/b.md', `x\n\n${multiByte}`],
      ['/c.md', randomText(1, 40)],
    ]);
    const text = await pack([...files].map(([path, content]) => documentOf(content, path)));
    assert.equal(text.windows, text.tokenIds.length / 8);
    const found = opened(text, files);
    assert.equal(found.get('/a.md'), files.get('/a.md'));
    assert.equal(found.get('/b.md'), files.get('/b.md'));
    assert.ok(files.get('/c.md')?.startsWith(found.get('/c.md') ?? 'nothing'));
    const separators = text.tokenIds.filter(id => id === tokenizer.separator).length;
    assert.ok(separators >= 3);
  });

  it('opens every token behind the BOS of its window', async () => {
    const files = new Map([
      ['/a.md', multiByte.repeat(3)],
      ['/b.md', `x\n\n${multiByte}`],
      ['/c.md', randomText(1, 40)],
    ]);
    const documents = [...files].map(([path, content]) => documentOf(content, path));
    const options = { windowLength: 8, limit: Number.MAX_SAFE_INTEGER };
    const text = await PlacedText.pack(documents, led, options);
    assert.ok(text.windows > 8);
    for (let window = 0; window < text.windows; window++)
      assert.equal(text.tokenIds[window * 8], bos);
    const found = opened(text, files);
    assert.equal(found.get('/a.md'), files.get('/a.md'));
    assert.equal(found.get('/b.md'), files.get('/b.md'));
  });

  it('opens tokens of a document that is a part of its file', async () => {
    const file = `# Title\n\n${multiByte.repeat(2)}`;
    const start = file.indexOf('Die');
    const part = documentOf(file.slice(start), '/part.md', { start });
    const found = opened(await pack([part]), new Map([['/part.md', file]]));
    const [text = ''] = found.values();
    assert.ok(file.slice(start).startsWith(text) && text.length > 40);
  });

  it('opens tokens behind the first piece of a long document', async () => {
    const line = `${multiByte}${randomText(3, 30)}\n`;
    const long = line.repeat(Math.ceil((2 ** 20 + 4000) / line.length));
    const text = await pack([documentOf(long, '/long.md')]);
    const last = text.tokenIds.length - 1;
    for (let i = last - 1200; i <= last; i++) {
      const { token, place } = text.at(i, 0);
      if (!place) continue;
      assert.ok(place.start > 2 ** 19);
      assert.equal(long.slice(place.start, place.start + token.length), token);
    }
    const ends = text.at(last - 1, 0).place?.start ?? 0;
    assert.ok(ends > 2 ** 20, `${ends}`);
  });

  it('has context but no place where the text is not the file itself', async () => {
    const text = await pack([documentOf(randomText(2, 40), '/page.html', { verbatim: false })]);
    const { token, place } = text.at(3, 5);
    assert.ok(token.length > 0);
    assert.equal(place, null);
  });

  it('takes whole windows up to a limit, and fails where there is none', async () => {
    const text = await pack([documentOf(randomText(2, 200), '/a.md')], 37);
    assert.equal(text.windows, 4);
    assert.doesNotThrow(() => text.at(31, 4));
    await assert.rejects(pack([documentOf('x', '/a.md')]), error => Failure.is(error, 'empty'));
  });
});
