const wordsPerShingle = 5;

/**
 * Gives a 32-bit hash of every run of five words, or of all words where there are fewer. Words are runs of letters,
 * digits and underscores, case of ASCII letters aside; a character of Chinese, Japanese or Korean script is a word.
 */
export function shingleHashes(text: string, seed: number, give: (hash: number) => void): void {
  const last = new Uint32Array(wordsPerShingle); // hashes of the last words, a ring
  let words = 0;
  const endWord = (hash: number): void => {
    last[words++ % wordsPerShingle] = hash;
    if (words >= wordsPerShingle) give(hashOf(last, words, seed));
  };
  let word = 0; // 0 between words
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    const alone = unit >= 0x2e80 && unit < 0xd800;
    if (!alone && isWordUnit(unit)) {
      word = Math.imul((word === 0 ? 0x811c9dc5 : word) ^ lower(unit), 0x01000193) | 1;
      continue;
    }
    if (word !== 0) endWord(word);
    word = 0;
    if (alone) endWord(Math.imul(unit, 0x9e3779b1));
  }
  if (word !== 0) endWord(word);
  if (words > 0 && words < wordsPerShingle) give(hashOf(last.subarray(0, words), words, seed));
}

function isWordUnit(unit: number): boolean {
  if (unit >= 0x80) return unit >= 0xc0 && (unit < 0x2000 || unit >= 0x2070);
  const small = lower(unit);
  return (small >= 97 && small <= 122) || (small >= 48 && small <= 57) || small === 95;
}

function lower(unit: number): number {
  return unit >= 65 && unit <= 90 ? unit + 32 : unit;
}

/** Of the words in the ring, the oldest first (murmur3's mixing). */
function hashOf(ring: Uint32Array, words: number, seed: number): number {
  let hash = seed;
  for (let i = 0; i < ring.length; i++) {
    const mixed = Math.imul((ring[(words + i) % ring.length] ?? 0) ^ (hash >>> 15), 0xcc9e2d51);
    hash = Math.imul(hash ^ mixed ^ (mixed >>> 13), 5) + 0xe6546b64;
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
