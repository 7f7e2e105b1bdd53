import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Random } from '../../src/common/random.ts';
import type { TokenSpans } from '../../src/models/model.ts';
import { tokenizerFingerprint } from '../../src/models/tokenizers/fingerprint.ts';
import { ggufTokenizer } from '../../src/models/tokenizers/ggufTokenizer.ts';
import { jsonTokenizer } from '../../src/models/tokenizers/tokenizerJson.ts';
import { readGguf } from '../../src/weights/gguf.ts';

/** Goldens are the Rust tokenizers library's: test/fixtures/makeTokenizerGoldens.py. */
interface Golden {
  readonly bos: number | null;
  readonly tokens: readonly (readonly [ids: number[], starts: number[], ends: number[]])[];
}

const folder = new URL('../fixtures/tokenizers/', import.meta.url);
const { texts, ...goldens } = JSON.parse(readFileSync(new URL('goldens.json', folder), 'utf8')) as {
  readonly texts: readonly string[];
} & Readonly<Record<string, Golden>>;

const described = (name: string) => readFileSync(new URL(`${name}.json`, folder), 'utf8');
const fromJson = (name: string) => jsonTokenizer(described(name), `${name}.json`, 1000);
const fromGguf = (name: string) =>
  ggufTokenizer(readGguf(fileURLToPath(new URL(`${name}.gguf`, folder))));
const inGguf = ['gpt2', 'gptNeoX', 'llama3', 'qwen2', 'tekken', 'olmo2', 'llama2', 'gemma', 'phi3'];
/** Those that put composed characters in the place of decomposed ones, or the reverse. */
const composing = ['gptNeoX', 'qwen2', 'mixed'];

function check(name: string, spans: TokenSpans, at: number): void {
  const [ids = [], starts = [], ends = []] = goldens[name]?.tokens[at] ?? [];
  const text = texts[at] ?? '';
  const where = JSON.stringify(text);
  assert.deepEqual([...spans.ids], ids, where);
  if (!composing.includes(name) || (text.normalize('NFC') === text && name !== 'mixed')) {
    assert.deepEqual([...spans.starts], starts, where);
    assert.deepEqual([...spans.ends], ends, where);
  } else {
    // Of a character's parts the library names only the first: Loupe's ranges hold the library's.
    for (const [i, start] of starts.entries()) {
      assert.ok(
        (spans.starts[i] ?? NaN) <= start && (spans.ends[i] ?? NaN) >= (ends[i] ?? NaN),
        `${where} ${i}`,
      );
    }
  }
}

describe('A tiny tokenizer of a model family agrees with the tokenizers library in ids and spans', () => {
  for (const name of Object.keys(goldens)) {
    it(`from tokenizer.json: ${name}`, () => {
      const tokenizer = fromJson(name);
      for (const [at, text] of texts.entries()) check(name, tokenizer.encode(text), at);
      assert.equal(tokenizer.bos ?? null, goldens[name]?.bos);
    });
  }
  for (const name of inGguf) {
    it(`from GGUF metadata: ${name}`, () => {
      const tokenizer = fromGguf(name);
      for (const [at, text] of texts.entries()) check(name, tokenizer.encode(text), at);
      assert.equal(tokenizer.bos ?? null, goldens[name]?.bos);
    });
  }
});

describe('Spans of every family', () => {
  for (const name of Object.keys(goldens)) {
    it(`cover lone surrogates and stay in order: ${name}`, () => {
      const tokenizer = fromJson(name);
      for (const text of ['a\ud800b \udc00\udc00x\ud83d', '\ud83d<s>\ude00', ...texts]) {
        const { starts, ends } = tokenizer.encode(text);
        for (let i = 0; i < starts.length; i++) {
          const [start = -1, end = -1] = [starts[i], ends[i]];
          assert.ok(start < end && end <= text.length, JSON.stringify(text));
          assert.ok(i === 0 || start >= (starts[i - 1] ?? 0), JSON.stringify(text));
        }
      }
    });
  }

  it('hold all parts of a character that was decomposed', () => {
    const { ids, starts, ends } = fromJson('qwen2').encode('o\u0308 \u1103\u1173\u11bc!');
    assert.deepEqual([starts[0], ends[0]], [0, 2]);
    const last = ids.length - 1;
    assert.deepEqual([starts[last], ends[last], starts[last - 1], ends[last - 1]], [6, 7, 3, 6]);
  });
});

describe('Long texts', () => {
  for (const name of ['llama2', 'gemma', 'mistral', 'qwen2', 'metaspaceAlways']) {
    it(`take time that grows with their length alone: ${name}`, () => {
      const tokenizer = fromJson(name);
      const random = new Random(5);
      let text = '';
      while (text.length < 1_000_000) text += texts[random.below(texts.length)] ?? '';
      const started = performance.now();
      const { ends } = tokenizer.encode(text);
      assert.ok(performance.now() - started < 10_000);
      assert.ok((ends.at(-1) ?? 0) > text.length - 10);
    });
  }

  it('are cut only where no merge can cross', () => {
    // Without cuts: the merges that the cuts rely on are all there is, so a token that crosses one forbids it.
    const json = JSON.parse(described('llama2')) as {
      model: { vocab: Record<string, number>; merges: string[][] };
    };
    const { vocab, merges } = json.model;
    vocab['e▁'] = 700;
    vocab['e▁t'] = 701;
    merges.unshift(['e', '▁'], ['e▁', 't']);
    const { ids } = jsonTokenizer(JSON.stringify(json), 'x.json', 1000).encode('are the');
    assert.ok(ids.includes(701));
  });

  it('can be taken in steps', () => {
    const tokenizer = fromJson('llama3');
    const text = texts.join('\n').repeat(10);
    const steps = tokenizer.steps(text);
    let rests = 0;
    let step = steps.next();
    for (; !step.done; step = steps.next()) rests++;
    assert.ok(rests > 4);
    assert.deepEqual(step.value, tokenizer.encode(text));
  });
});

describe('BOS', () => {
  const json = JSON.parse(described('llama2')) as Readonly<Record<string, unknown>>;
  const bos = (config: object, changes: object = {}) =>
    jsonTokenizer(
      JSON.stringify({ ...json, ...changes }),
      'a/tokenizer.json',
      1000,
      JSON.stringify(config),
    ).bos;

  it('is what tokenizer_config.json says, or else the template', () => {
    assert.equal(bos({}), 1);
    assert.equal(bos({ add_bos_token: false, bos_token: '<s>' }), undefined);
    assert.equal(bos({ add_bos_token: true, bos_token: { content: '</s>' } }), 2);
    assert.equal(bos({ add_bos_token: null, bos_token: '</s>' }), 1);
    assert.equal(bos({ bos_token: '<s>' }, { post_processor: null }), undefined);
  });

  it('may be token 0', () => {
    assert.equal(bos({ add_bos_token: true, bos_token: '<unk>' }), 0);
  });

  it('is what GGUF metadata say, or what llama.cpp takes where they do not', () => {
    const file = readGguf(fileURLToPath(new URL('gpt2.gguf', folder)));
    const changed = (changes: Readonly<Record<string, boolean | string | number>>) =>
      ggufTokenizer({ ...file, metadata: new Map([...file.metadata, ...Object.entries(changes)]) })
        .bos;
    assert.equal(changed({}), undefined);
    assert.equal(
      changed({ 'tokenizer.ggml.add_bos_token': true, 'tokenizer.ggml.bos_token_id': 0 }),
      0,
    );
    const unsaid = new Map(file.metadata);
    unsaid.delete('tokenizer.ggml.add_bos_token');
    assert.equal(ggufTokenizer({ ...file, metadata: unsaid }).bos, undefined);
    unsaid.set('tokenizer.ggml.pre', 'llama-bpe');
    assert.equal(
      ggufTokenizer({ ...file, metadata: unsaid }).bos,
      file.metadata.get('tokenizer.ggml.bos_token_id'),
    );
  });
});

describe('The ids of a SentencePiece vocabulary', () => {
  it('are 1 and 2 for BOS and the separator where its GGUF file does not say', () => {
    const file = readGguf(fileURLToPath(new URL('llama2.gguf', folder)));
    const metadata = new Map(file.metadata);
    metadata.delete('tokenizer.ggml.bos_token_id');
    metadata.delete('tokenizer.ggml.eos_token_id');
    const { bos, separator } = ggufTokenizer({ ...file, metadata });
    assert.deepEqual([bos, separator], [1, 2]);
  });
});

describe('A fingerprint', () => {
  it('tells apart what decides ids, and nothing else', () => {
    const names = Object.keys(goldens);
    const prints = new Map(names.map(name => [name, tokenizerFingerprint(fromJson(name).parts)]));
    assert.equal(new Set(prints.values()).size, names.length);
    assert.match(prints.get('gpt2') ?? '', /^[0-9a-f]{64}$/);
    const gpt2 = JSON.parse(described('gpt2')) as Readonly<Record<string, unknown>>;
    const changed = (changes: object) =>
      tokenizerFingerprint(jsonTokenizer(JSON.stringify({ ...gpt2, ...changes }), 'x', 1000).parts);
    assert.equal(changed({ post_processor: null, decoder: null }), prints.get('gpt2'));
    const pre_tokenizer = {
      type: 'ByteLevel',
      add_prefix_space: false,
      trim_offsets: false,
      use_regex: true,
    };
    assert.equal(changed({ pre_tokenizer }), prints.get('gpt2'));
    assert.notEqual(changed({ normalizer: { type: 'NFC' } }), prints.get('gpt2'));
    assert.notEqual(
      changed({ added_tokens: [{ id: 576, content: '<|endoftext|>' }] }),
      prints.get('gpt2'),
    );
  });

  it('is the same for both files of a tokenizer', () => {
    for (const name of ['gpt2', 'llama3', 'qwen2', 'tekken', 'olmo2', 'llama2']) {
      assert.equal(
        tokenizerFingerprint(fromGguf(name).parts),
        tokenizerFingerprint(fromJson(name).parts),
        name,
      );
    }
  });
});
