import { Failure } from '../../common/failure.ts';
import type { CollapseWord } from '../../contracts/collapse.ts';
import type { Tokenizer } from '../../models/model.ts';
import { evenlySpread } from '../../training/activations/evenlySpread.ts';

/** The words of the authors' measurement. */
export const authorsWords = ['is', 'are', 'was', 'were'] as const;

/** Tokens that the authors took of each word. */
const authorsTokens = 1668;

/** The token of each word, its space before it. Words that are not exactly one token are refused by name. */
export function wordTokens(words: readonly string[], tokenizer: Tokenizer): Map<string, number> {
  const tokens = new Map<string, number>();
  for (const word of words) {
    const ids = spacedIds(word, tokenizer);
    const [id] = ids;
    if (id === undefined || ids.length !== 1) {
      throw new Failure(
        'usage',
        `The word "${word}" is ${ids.length} tokens of this model; expected words that are one token with the space before them.`,
        { action: 'Leave it out, or choose another.' },
      );
    }
    if (tokens.has(word)) throw new Failure('usage', `The word "${word}" is named twice.`);
    tokens.set(word, id);
  }
  if (tokens.size === 1) {
    throw new Failure('usage', 'There is one word; expected two or more to tell apart, or none.');
  }
  return tokens;
}

/** Some tokenizers put a space before a text by themselves: a second one would be a token of its own. */
function spacedIds(word: string, tokenizer: Tokenizer): Uint32Array {
  const { ids } = tokenizer.encode(` ${word}`);
  if (ids.length === 1) return ids;
  const bare = tokenizer.encode(word).ids;
  return bare.length === 1 && tokenizer.tokenText(bare[0] ?? 0) === ` ${word}` ? bare : ids;
}

/** Tokens of some words in a text. */
export interface WordPlaces {
  readonly words: readonly CollapseWord[];
  /** Positions of as many tokens of each word, ascending; word by word (words, perWord). */
  readonly positions: Uint32Array;
  readonly perWord: number;
}

/** As many tokens of each word as the rarest has, at most `most` and as many as the authors', evenly spread. */
export function wordPlaces(
  tokenIds: Uint32Array,
  tokens: ReadonlyMap<string, number>,
  most: number,
): WordPlaces {
  const found = [...tokens].map(([word, tokenId]) => {
    const all: number[] = [];
    for (let at = tokenIds.indexOf(tokenId); at >= 0; at = tokenIds.indexOf(tokenId, at + 1)) {
      all.push(at);
    }
    return { word, tokenId, all };
  });
  const perWord =
    found.length > 0 ? Math.min(most, authorsTokens, ...found.map(({ all }) => all.length)) : 0;
  const chosen = found.flatMap(({ all }) =>
    evenlySpread(perWord, all.length).map(i => all[i] ?? 0),
  );
  return {
    words: found.map(({ word, tokenId, all }) => ({ word, tokenId, count: all.length })),
    positions: Uint32Array.from(chosen),
    perWord,
  };
}
