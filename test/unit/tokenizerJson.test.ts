import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Failure, type FailureCode } from '../../src/common/failure.ts';
import { spellingOf } from '../../src/models/tokenizers/byteLevel.ts';
import { jsonTokenizer } from '../../src/models/tokenizers/tokenizerJson.ts';

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

  it('may leave numbers out, and name tokens beyond the model', () => {
    const added_tokens = [
      { id: 299, content: '<|endoftext|>' },
      { id: 300, content: '<|image|>' },
    ];
    const { ids } = tokenizer({ added_tokens }, 300).encode('he<|endoftext|><|');
    assert.deepEqual([...ids], [256, 299, byte('<'), byte('|')]);
    assert.equal(tokenizer({ added_tokens }, 300).encode('<|image|>').ids.length, 9);
  });

  const bad: readonly [what: string, changes: object, code: FailureCode, says: RegExp][] = [
    [
      'another model',
      { model: { ...gpt2.model, type: 'Unigram' } },
      'unsupported',
      /other than byte-pair encoding/,
    ],
    ['another normalizer', { normalizer: { type: 'Precompiled' } }, 'unsupported', /Precompiled/],
    [
      'another pre-tokenizer',
      { pre_tokenizer: { type: 'UnicodeScripts' } },
      'unsupported',
      /UnicodeScripts/,
    ],
    [
      'a regular expression that JavaScript lacks',
      { pre_tokenizer: { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated' } },
      'unsupported',
      /regular expression/,
    ],
    [
      'a number twice',
      { added_tokens: [{ id: 259, content: 'x' }] },
      'bad-file',
      /found 259 for "hello" and "x"/,
    ],
    [
      'a number that is none',
      { model: { ...gpt2.model, vocab: { ...gpt2.model.vocab, x: 'y' } } },
      'bad-file',
      /found "x" with the number "y"/,
    ],
    [
      'too many tokens',
      { model: { ...gpt2.model, vocab: { ...gpt2.model.vocab, x: 261 } } },
      'bad-file',
      /at most the model's 261/,
    ],
    [
      'a merge of what is no token',
      { model: { ...gpt2.model, merges: ['h e', 'he x'] } },
      'bad-file',
      /merge of tokens to a token, found \["he","x"\]/,
    ],
    ['a token without a text', { added_tokens: [{ id: 260 }] }, 'bad-file', /added token/],
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
