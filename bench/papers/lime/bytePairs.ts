import { spellingOf } from '../../../src/models/tokenizers/byteLevel.ts';

/** Names the separator of documents, the vocabulary's last token. */
const separator = '<|endoftext|>';

/** What the Rust tokenizers want to be told of an added token. */
const isolated = {
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
};

/** GPT-2's words, as the `gpt-2` pre-tokenizer splits them. */
const words = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** How often each word occurs. */
export function wordCounts(texts: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts)
    for (const [word] of text.matchAll(words)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

/**
 * The text of a tokenizer.json with a byte-level vocabulary of `size` tokens: the 256 bytes, the merges of the pairs
 * that occurred most often, and the separator. Source: Sennrich et al. 2016, arXiv 1508.07909, algorithm 1.
 */
export function bytePairTokenizer(counts: ReadonlyMap<string, number>, size: number): string {
  const tokens = Array.from({ length: 256 }, (_, byte) => spellingOf(byte));
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const merges: [string, string][] = [];
  const pairs = new Pairs(counts);
  while (tokens.length < size - 1) {
    const pair = pairs.mostFrequent();
    if (!pair) break;
    const [a, b] = pair.map(id => tokens[id] ?? '') as [string, string];
    // Two pairs may give the same token: "ab" with "c", and "a" with "bc".
    const merged = ids.get(a + b) ?? tokens.push(a + b) - 1;
    ids.set(a + b, merged);
    pairs.merge(...pair, merged);
    merges.push([a, b]);
  }
  tokens.push(separator);
  const byteLevel = {
    type: 'ByteLevel',
    add_prefix_space: false,
    trim_offsets: false,
    use_regex: true,
  };
  return JSON.stringify({
    version: '1.0',
    added_tokens: [{ id: tokens.length - 1, content: separator, ...isolated }],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  });
}

interface Word {
  ids: number[];
  readonly count: number;
}

/** Words as sequences of tokens, with the number of each pair of neighbours. */
class Pairs {
  private readonly words: Word[];
  private readonly counts = new Map<number, number>();
  /** The words in which a pair occurs, or once did. */
  private readonly places = new Map<number, Set<Word>>();

  constructor(counts: ReadonlyMap<string, number>) {
    const utf8 = new TextEncoder();
    this.words = Array.from(counts, ([word, count]) => ({ ids: [...utf8.encode(word)], count }));
    for (const word of this.words) this.add(word, 1);
  }

  /** The pair that occurs most often, at least twice; of several, the one of the earliest tokens. */
  mostFrequent(): [number, number] | undefined {
    let [best, most] = [-1, 1];
    for (const [pair, count] of this.counts)
      if (count > most || (count === most && pair < best)) [best, most] = [pair, count];
    return best < 0 ? undefined : [best >>> 16, best & 0xffff];
  }

  merge(a: number, b: number, merged: number): void {
    const affected = this.places.get(keyOf(a, b)) ?? [];
    for (const word of [...affected]) {
      this.add(word, -1);
      const ids: number[] = [];
      for (let i = 0; i < word.ids.length; i++) {
        const isPair = word.ids[i] === a && word.ids[i + 1] === b;
        ids.push(isPair ? merged : (word.ids[i] ?? NaN));
        if (isPair) i++;
      }
      word.ids = ids;
      this.add(word, 1);
    }
    this.places.delete(keyOf(a, b));
  }

  private add(word: Word, sign: 1 | -1): void {
    for (let i = 0; i + 1 < word.ids.length; i++) {
      const key = keyOf(word.ids[i] ?? NaN, word.ids[i + 1] ?? NaN);
      const count = (this.counts.get(key) ?? 0) + sign * word.count;
      if (count === 0) this.counts.delete(key);
      else this.counts.set(key, count);
      if (sign < 0) continue;
      const places = this.places.get(key);
      if (places) places.add(word);
      else this.places.set(key, new Set([word]));
    }
  }
}

/** Tokens are numbered below 2^15. */
function keyOf(a: number, b: number): number {
  return a * 2 ** 16 + b;
}
