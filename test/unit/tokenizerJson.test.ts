import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Failure, type FailureCode } from '../../src/common/failure.ts';
import { spellingOf } from '../../src/models/byteLevel.ts';
import { jsonTokenizer } from '../../src/models/tokenizerJson.ts';

const tokens = [
  ...Array.from({ length: 256 }, (_, byte) => spellingOf(byte)),
  'he',
  'll',
  'llo',
  'hello',
];

/** GPT-2's tokenizer.json in small. */
const gpt2 = {
  version: '1.0',
  added_tokens: [
    {
      id: 260,
      content: '<|endoftext|>',
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: true,
      special: true,
    },
  ],
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true },
  model: {
    type: 'BPE',
    vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    merges: ['h e', 'l l', 'll o', 'he llo'] as unknown[],
  },
};

function tokenizer(changes: object = {}, vocabulary = 261) {
  return jsonTokenizer(JSON.stringify({ ...gpt2, ...changes }), 'a/tokenizer.json', vocabulary);
}

const byte = (character: string) => tokens.indexOf(character);

describe('A tokenizer.json', () => {
  it('gives ids and places', () => {
    const { ids, starts, ends } = tokenizer().encode('hello he<|endoftext|>');
    assert.deepEqual([...ids], [259, byte('Ġ'), 256, 260]);
    assert.deepEqual([...starts], [0, 5, 6, 8]);
    assert.deepEqual([...ends], [5, 6, 8, 21]);
    assert.equal(tokenizer().separator, 260);
    assert.equal(tokenizer().decode([259, 260]), 'hello<|endoftext|>');
  });

  it('may have its merges as pairs, use_regex said, and fewer tokens than the model', () => {
    const model = {
      ...gpt2.model,
      merges: gpt2.model.merges.map(merge => String(merge).split(' ')),
    };
    const pre_tokenizer = { ...gpt2.pre_tokenizer, use_regex: true };
    assert.deepEqual(
      tokenizer({ model, pre_tokenizer }, 300).encode('hello').ids,
      Uint32Array.of(259),
    );
  });

  it("may split digits as SmolLM's does", () => {
    const pretokenizers = [
      { type: 'Digits', individual_digits: true },
      { ...gpt2.pre_tokenizer, use_regex: true },
    ];
    // A merge of two digits shows whether they are one word.
    const vocab = { ...gpt2.model.vocab, '12': 260 };
    const added_tokens = [{ id: 261, content: '<|endoftext|>' }];
    const model = { ...gpt2.model, vocab, merges: [...gpt2.model.merges, '1 2'] };
    const smol = tokenizer(
      { pre_tokenizer: { type: 'Sequence', pretokenizers }, added_tokens, model },
      262,
    );
    assert.deepEqual([...smol.encode('12').ids], [byte('1'), byte('2')]);
    assert.deepEqual([...tokenizer({ added_tokens, model }, 262).encode('12').ids], [260]);
  });

  const bad: readonly [what: string, changes: object, code: FailureCode, says: RegExp][] = [
    [
      'another model',
      { model: { ...gpt2.model, type: 'Unigram' } },
      'unsupported',
      /other than a byte-level BPE/,
    ],
    [
      'bytes as fallback',
      { model: { ...gpt2.model, byte_fallback: true } },
      'unsupported',
      /byte-level/,
    ],
    ['a normalizer', { normalizer: { type: 'NFC' } }, 'unsupported', /normalizer/],
    ['no pre-tokenizer', { pre_tokenizer: null }, 'unsupported', /pre-tokenizer/],
    ['another pre-tokenizer', { pre_tokenizer: { type: 'Metaspace' } }, 'unsupported', /Metaspace/],
    [
      'a prefixed space',
      { pre_tokenizer: { ...gpt2.pre_tokenizer, add_prefix_space: true } },
      'unsupported',
      /add_prefix_space/,
    ],
    ['a gap', { added_tokens: [{ id: 300, content: 'x' }] }, 'bad-file', /without gaps/],
    ['an id twice', { added_tokens: [{ id: 259, content: 'x' }] }, 'bad-file', /without gaps/],
    [
      'an id that is none',
      { model: { ...gpt2.model, vocab: { ...gpt2.model.vocab, x: 'y' } } },
      'bad-file',
      /without gaps/,
    ],
    [
      'too many tokens',
      {
        added_tokens: [
          { id: 260, content: 'x' },
          { id: 261, content: 'y' },
        ],
      },
      'bad-file',
      /at most the model's 261/,
    ],
    ['a token without a text', { added_tokens: [{ id: 260 }] }, 'bad-file', /added token/],
    [
      'a token that takes in space',
      { added_tokens: [{ id: 260, content: 'x', lstrip: true }] },
      'unsupported',
      /"x"/,
    ],
    [
      'a merge of one',
      { model: { ...gpt2.model, merges: ['he'] } },
      'bad-file',
      /merge of two tokens, found "he"/,
    ],
    ['no separator', { added_tokens: [] }, 'bad-file', /separates/],
  ];
  for (const [what, changes, code, says] of bad) {
    it(`is refused: ${what}`, () => {
      assert.throws(
        () => tokenizer(changes),
        error => {
          assert.ok(Failure.is(error, code), String(error));
          assert.match(error.message, says);
          assert.match(error.message, /a\/tokenizer\.json/);
          return true;
        },
      );
    });
  }

  it('is refused: no JSON', () => {
    assert.throws(
      () => jsonTokenizer('{', 'x.json', 1),
      error => Failure.is(error, 'bad-file'),
    );
  });
});
