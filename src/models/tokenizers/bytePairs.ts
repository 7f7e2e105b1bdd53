import { Failure } from '../../common/failure.ts';
import { MinimumHeap } from './minimumHeap.ts';

/** A vocabulary and the order in which its tokens are merged. */
export interface BytePairs {
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly merges: readonly (readonly [left: string, right: string])[];
  /** Whether a word that is a token stays one, whatever the merges say. */
  readonly ignoreMerges: boolean;
  /** Whether a character without a token becomes the tokens <0xNN> of its bytes. */
  readonly byteFallback: boolean;
  /** Stands for characters that are in no other way tokens; without it they leave no trace. */
  readonly unknown?: number;
  /** Whether one such token stands for all in a row. */
  readonly fuseUnknown: boolean;
}

/** The tokens of a word, and where in it each lies, in UTF-16 units. */
export interface MergedWord {
  readonly ids: readonly number[];
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** A pair's rank and its position are one number: positions stay below this. */
const positions = 2 ** 31;
/** Words longer than this are rarely seen again, and more words than this are not kept. */
const kept = { length: 64, words: 1 << 16 };

/**
 * Merges the characters of words into tokens: of all adjacent pairs always the one whose merge comes first, of equals
 * the leftmost. Source: Sennrich et al. 2016, arXiv 1508.07909; details as in the tokenizers library, models/bpe.
 */
export class BytePairMerger {
  private readonly pairs: BytePairs;
  private readonly size: number;
  private readonly ranks = new Map<number, number>();
  private readonly results: number[] = [];
  private readonly bytes: readonly (number | undefined)[];
  private readonly cut: RegExp | undefined;
  private readonly known = new Map<string, MergedWord>();

  /** `path` names the file in failures. */
  constructor(pairs: BytePairs, path: string) {
    const { vocabulary, merges } = pairs;
    this.pairs = pairs;
    let largest = 0;
    for (const id of vocabulary.values()) largest = Math.max(largest, id);
    this.size = largest + 1;
    for (const [rank, [left, right]] of merges.entries()) {
      const [a, b, ab] = [vocabulary.get(left), vocabulary.get(right), vocabulary.get(left + right)];
      if (a === undefined || b === undefined || ab === undefined) {
        throw new Failure(
          'bad-file',
          `${path}: expected a merge of tokens to a token, found ${JSON.stringify([left, right])}.`,
        );
      }
      this.ranks.set(a * this.size + b, rank);
      this.results[rank] = ab;
    }
    this.bytes = Array.from({ length: 256 }, (_, byte) => vocabulary.get(byteToken(byte)));
    this.cut = wordStart(pairs);
  }

  /** The tokens of one word: of a whole text where nothing splits it. */
  merge(word: string): MergedWord {
    const { vocabulary, ignoreMerges } = this.pairs;
    const id = ignoreMerges ? vocabulary.get(word) : undefined;
    if (id !== undefined) return { ids: [id], starts: [0], ends: [word.length] };
    if (!this.cut?.test(word)) return this.mergePart(word);
    const all = { ids: [] as number[], starts: [] as number[], ends: [] as number[] };
    let at = 0;
    for (const part of word.split(this.cut)) {
      const { ids, starts, ends } = this.mergePart(part);
      for (let i = 0; i < ids.length; i++) {
        all.ids.push(ids[i] ?? 0);
        all.starts.push(at + (starts[i] ?? 0));
        all.ends.push(at + (ends[i] ?? 0));
      }
      at += part.length;
    }
    return all;
  }

  private mergePart(part: string): MergedWord {
    const known = this.known.get(part);
    if (known) return known;
    const merged = this.merged(this.symbols(part));
    if (part.length <= kept.length) {
      if (this.known.size >= kept.words) this.known.clear();
      this.known.set(part, merged);
    }
    return merged;
  }

  /** What merging begins with: the token of each character, or what stands for it. */
  private symbols(part: string): Symbols {
    const { vocabulary, byteFallback, unknown, fuseUnknown } = this.pairs;
    const symbols: Symbols = { ids: [], starts: [], ends: [] };
    let wasUnknown = false;
    let at = 0;
    for (const character of part) {
      const end = at + character.length;
      const id = vocabulary.get(character);
      const bytes = id === undefined && byteFallback ? this.byteIds(character) : undefined;
      const isUnknown = id === undefined && bytes === undefined;
      if (isUnknown && wasUnknown && fuseUnknown && unknown !== undefined) {
        symbols.ends[symbols.ends.length - 1] = end;
      } else {
        for (const each of bytes ?? [id ?? unknown]) {
          if (each === undefined) continue;
          symbols.ids.push(each);
          symbols.starts.push(at);
          symbols.ends.push(end);
        }
      }
      wasUnknown = isUnknown;
      at = end;
    }
    return symbols;
  }

  private byteIds(character: string): number[] | undefined {
    const ids: number[] = [];
    for (const byte of new TextEncoder().encode(character)) {
      const id = this.bytes[byte];
      if (id === undefined) return undefined;
      ids.push(id);
    }
    return ids;
  }

  private merged({ ids, starts, ends }: Symbols): MergedWord {
    const count = ids.length;
    const next = Array.from({ length: count }, (_, i) => (i + 1 < count ? i + 1 : -1));
    const previous = Array.from({ length: count }, (_, i) => i - 1);
    const heap = new MinimumHeap();
    const rankAt = (position: number) => {
      const after = next[position] ?? -1;
      if (after < 0) return undefined;
      return this.ranks.get((ids[position] ?? 0) * this.size + (ids[after] ?? 0));
    };
    const add = (position: number) => {
      const rank = position < 0 ? undefined : rankAt(position);
      if (rank !== undefined) heap.push(rank * positions + position);
    };
    for (let i = 0; i + 1 < count; i++) add(i);
    for (let least = heap.pop(); least !== undefined; least = heap.pop()) {
      const rank = Math.floor(least / positions);
      const position = least % positions;
      // Of a pair that is no longer there, the entry has stayed behind.
      if (ids[position] === -1 || rankAt(position) !== rank) continue;
      const right = next[position] ?? -1;
      const after = next[right] ?? -1;
      ids[position] = this.results[rank] ?? 0;
      ends[position] = Math.max(ends[position] ?? 0, ends[right] ?? 0);
      ids[right] = -1;
      next[position] = after;
      if (after >= 0) previous[after] = position;
      add(previous[position] ?? -1);
      add(position);
    }
    const left = [...ids.keys()].filter(i => ids[i] !== -1);
    const chosen = (values: readonly number[]) => left.map(i => values[i] ?? 0);
    return { ids: chosen(ids), starts: chosen(starts), ends: chosen(ends) };
  }
}

interface Symbols {
  readonly ids: number[];
  readonly starts: number[];
  readonly ends: number[];
}

export function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
}

/**
 * Finds the spaces before which a word can be cut without changing a token: a merge across the cut would make a token
 * that holds the same two characters, and no token does. Without such cuts, a SentencePiece vocabulary would have to
 * merge a whole text as one word.
 */
function wordStart({ vocabulary }: BytePairs): RegExp | undefined {
  const spaces = [' ', '▁'].filter(space => vocabulary.has(space));
  if (spaces.length === 0) return undefined;
  const cuts = spaces.map(space => {
    const before = new Set<string>();
    for (const token of vocabulary.keys()) {
      for (let at = token.indexOf(space, 1); at > 0; at = token.indexOf(space, at + 1)) {
        before.add(token.charAt(at - 1));
      }
    }
    const units = [...before].map(unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
    return `(?<=[^${units.join('')}])(?=${space})`;
  });
  return new RegExp(cuts.join('|'));
}
