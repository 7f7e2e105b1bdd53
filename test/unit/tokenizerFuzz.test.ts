import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import { Random } from '../../src/common/random.ts';
import { jsonTokenizer } from '../../src/models/tokenizers/tokenizerJson.ts';

const names = ['gptNeoX', 'llama3', 'mixed', 'phi3', 'mistral'];
const text =
  "The lamp <|user|>\n  <|end|> isn't lit at 10:30! e\u0301 한 👩‍🔬\ud800 <|endoftext|> ▁x";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A tiny tokenizer.json with fewer tokens still, so that more of it can be broken in less time. */
function small(name: string): string {
  const url = new URL(`../fixtures/tokenizers/${name}.json`, import.meta.url);
  const file = JSON.parse(readFileSync(url, 'utf8')) as {
    model: { vocab: Record<string, number>; merges: [string, string][] };
  };
  const { vocab, merges } = file.model;
  const some = merges.slice(0, 12);
  const kept = new Set([
    ...'<unk> <s> </s> <0xF0>'.split(' '),
    ...some.flatMap(([a, b]) => [a, b, a + b]),
  ]);
  file.model.vocab = Object.fromEntries(Object.entries(vocab).filter(([token]) => kept.has(token)));
  file.model.merges = some;
  return JSON.stringify(file);
}

function flipped(json: string, random: Random): string {
  const bytes = Buffer.from(json);
  for (let flips = 1 + random.below(3); flips > 0; flips--) {
    const at = random.below(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  }
  return bytes.toString('utf8');
}

/** One value somewhere in the file becomes another, of any type. */
function replaced(json: string, random: Random): string {
  const file = JSON.parse(json) as Json;
  const others: Json[] = [
    null,
    true,
    false,
    -1,
    0,
    1.5,
    1e300,
    '',
    'x',
    'ByteLevel',
    '(',
    [],
    {},
    ['a'],
    [[]],
    { type: 'NFC' },
  ];
  let at = file;
  for (;;) {
    if (typeof at !== 'object' || at === null) return JSON.stringify(file);
    const keys = Object.keys(at);
    const key = keys[random.below(keys.length)];
    if (key === undefined) return JSON.stringify(file);
    const holder = at as Record<string, Json>;
    const value = holder[key] ?? null;
    if (typeof value !== 'object' || value === null || random.below(4) === 0) {
      if (random.below(5) === 0) Reflect.deleteProperty(holder, key);
      else holder[key] = others[random.below(others.length)] ?? null;
      return JSON.stringify(file);
    }
    at = value;
  }
}

describe('A tokenizer.json that was damaged', () => {
  it('gives a tokenizer or says what is wrong, at once', () => {
    const random = new Random(1);
    const files = names.map(small);
    const outcomes = new Map<string, number>();
    for (let i = 0; i < 10_000; i++) {
      const json = files[i % files.length] ?? '';
      const kind = random.below(8);
      const damaged =
        kind < 3
          ? flipped(json, random)
          : kind < 7
            ? replaced(json, random)
            : json.slice(0, random.below(json.length));
      const started = performance.now();
      const outcome = attempt(damaged);
      assert.ok(performance.now() - started < 1000, damaged);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    for (const outcome of ['works', 'bad-file', 'unsupported'])
      assert.ok((outcomes.get(outcome) ?? 0) > 100, outcome);
    assert.equal(outcomes.size, 3);
  });
});

function attempt(json: string): string {
  try {
    const tokenizer = jsonTokenizer(json, 'tokenizer.json', 1000);
    const { ids, starts, ends } = tokenizer.encode(text);
    for (let i = 0; i < ids.length; i++) {
      const [start = -1, end = -1, id = 1000] = [starts[i], ends[i], ids[i]];
      assert.ok(id < 1000 && start <= end && end <= text.length, json);
      tokenizer.tokenText(id);
    }
    tokenizer.decode(ids);
    return 'works';
  } catch (error) {
    if (Failure.is(error)) return error.code;
    throw new Error(json, { cause: error });
  }
}
