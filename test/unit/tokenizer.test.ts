import { Tokenizer } from '@huggingface/tokenizers';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'node:test';
import { embeddedModel } from '../../src/common/embedded.ts';
import { Failure } from '../../src/common/failure.ts';
import { Random } from '../../src/common/random.ts';
import type { Tokenizer as LoupeTokenizer } from '../../src/models/model.ts';
import { ggufPreTokenizers } from '../../src/models/tokenizers/ggufPreTokenizers.ts';
import { ggufTokenizer } from '../../src/models/tokenizers/ggufTokenizer.ts';
import { type GgufFile, type MetadataValue, readGguf } from '../../src/weights/gguf.ts';
import { metadataNumbers, metadataTexts } from '../../src/weights/ggufMetadata.ts';

/** Goldens are the Rust tokenizers library's: test/fixtures/makeModelGoldens.py. */
interface Golden {
  readonly pre: string;
  readonly text: string;
  readonly ids: readonly number[];
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

const goldens = JSON.parse(
  readFileSync(new URL('../fixtures/model/tokens.json', import.meta.url), 'utf8'),
) as readonly Golden[];

const file = readGguf(fileURLToPath(new URL(`../../${embeddedModel}`, import.meta.url)));
const smollm = ggufTokenizer(file);

function altered(changes: Readonly<Record<string, MetadataValue>>): GgufFile {
  return { ...file, metadata: new Map([...file.metadata, ...Object.entries(changes)]) };
}

function check(tokenizer: LoupeTokenizer, golden: Golden): void {
  const { ids, starts, ends } = tokenizer.encode(golden.text);
  const where = JSON.stringify(golden.text);
  assert.deepEqual([...ids], golden.ids, where);
  assert.deepEqual([...starts], golden.starts, where);
  assert.deepEqual([...ends], golden.ends, where);
}

describe('The tokenizer agrees with the tokenizers library in ids and spans', () => {
  for (const pre of ['smollm', 'gpt-2', 'llama-bpe']) {
    it(`with the pre-tokenizer ${pre}`, () => {
      const tokenizer = ggufTokenizer(altered({ 'tokenizer.ggml.pre': pre }));
      const own = goldens.filter(golden => golden.pre === pre);
      assert.ok(own.length > 50);
      for (const golden of own) check(tokenizer, golden);
    });
  }
});

describe('Spans', () => {
  it('cover a text with lone surrogates, each a character of its own', () => {
    const text = 'a\ud800b \udc00\udc00x\ud83d';
    const { starts, ends } = smollm.encode(text);
    assert.equal(starts[0], 0);
    assert.equal(ends.at(-1), text.length);
    for (let i = 1; i < starts.length; i++) {
      const [start, end, before] = [starts[i] ?? -1, ends[i] ?? -1, ends[i - 1] ?? -1];
      assert.ok(start === before || (start === starts[i - 1] && end === before), `token ${i}`);
    }
  });

  it('leave room for bytes that the vocabulary lacks', () => {
    // U+DE000 is unassigned; its first bytes F3 9E are in no text that SmolLM2 was trained on.
    const text = 'a\u{de000}b';
    const { ids, starts, ends } = smollm.encode(text);
    assert.equal(ids.length > 0 && starts[0], 0);
    assert.equal(ends.at(-1), text.length);
    assert.equal(text.slice(starts.at(-1), ends.at(-1)), 'b');
  });
});

describe('Text back from tokens', () => {
  it('is the text', () => {
    const text = 'Ünïcode 日本語 👩‍🔬 <|im_end|> 1,2\n\tx';
    assert.equal(smollm.decode(smollm.encode(text).ids), text);
  });

  it('shows bytes that are no character by themselves', () => {
    const pieces = [...smollm.encode(' 語').ids].map(id => smollm.tokenText(id));
    assert.deepEqual(pieces, [' \\xE8', '\\xAA', '\\x9E']);
  });
});

describe('Long texts', () => {
  it('give the ids and spans of the text in one piece', () => {
    const random = new Random(3);
    const parts = goldens.filter(golden => golden.pre === 'smollm').map(golden => golden.text);
    for (const pre of ['smollm', 'gpt-2', 'llama-bpe']) {
      const tokenizer = ggufTokenizer(altered({ 'tokenizer.ggml.pre': pre }));
      let text = '';
      while (text.length < 60_000) text += parts[random.below(parts.length)] ?? '';
      const whole = inOnePiece(pre, text);
      assert.deepEqual(tokenizer.encode(text).ids, whole, pre);
    }
  });

  it('are covered even where no cut is safe', () => {
    const text = `${'ab'.repeat(40_000)}${'👩'.repeat(40_000)}`;
    const { ids, ends } = smollm.encode(text);
    assert.equal(ends.at(-1), text.length);
    assert.equal(smollm.decode(ids), text);
  });
});

/** The same text as the merging library sees it, without cuts. */
function inOnePiece(pre: string, text: string): Uint32Array {
  const tokens = metadataTexts(file, 'tokenizer.ggml.tokens');
  const types = metadataNumbers(file, 'tokenizer.ggml.token_type');
  const whole = [...types.keys()].filter(id => types[id] === 3 || types[id] === 4);
  const library = new Tokenizer(
    {
      version: '1.0',
      added_tokens: whole.map(id => ({
        id,
        content: tokens[id],
        special: true,
        normalized: false,
      })),
      normalizer: null,
      pre_tokenizer: ggufPreTokenizers.get(pre)?.json,
      post_processor: null,
      decoder: { type: 'ByteLevel' },
      model: {
        type: 'BPE',
        vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
        merges: metadataTexts(file, 'tokenizer.ggml.merges'),
        ignore_merges: pre === 'llama-bpe',
      },
    },
    {},
  );
  return Uint32Array.from(library.encode(text, { add_special_tokens: false }).ids);
}

describe('A tokenizer that Loupe cannot rebuild', () => {
  const refused: readonly [what: string, code: string, changes: Record<string, MetadataValue>][] = [
    ['an unknown pre-tokenizer', 'unsupported', { 'tokenizer.ggml.pre': 'superbpe' }],
    ['another kind of vocabulary', 'unsupported', { 'tokenizer.ggml.model': 't5' }],
    ['merges that are no pairs', 'bad-file', { 'tokenizer.ggml.merges': ['a b', 'ab'] }],
    ['a token twice', 'bad-file', { 'tokenizer.ggml.tokens': ['a', 'a'] }],
    ['token types for other tokens', 'bad-file', { 'tokenizer.ggml.token_type': [1, 1, 3] }],
    ['tokens that are no texts', 'bad-file', { 'tokenizer.ggml.tokens': [1, 2] }],
  ];
  for (const [what, code, changes] of refused) {
    it(`is refused: ${what}`, () => {
      const [key] = Object.keys(changes);
      assert.throws(
        () => ggufTokenizer(altered(changes)),
        error => Failure.is(error) && error.code === code && error.message.includes(key ?? '?'),
      );
    });
  }
});
