/** Chunks are at least this long, in UTF-16 units, and end at the next safe place. */
const chunkLength = 4096;
/** Where no place is safe (one endless word), a chunk ends here at the latest. */
const longestChunk = 1 << 13;

/**
 * Places where every byte-level pre-tokenizer that Loupe knows (`preTokenizers.ts`) begins a new word whatever
 * precedes it: none of their patterns lets a letter or a digit be followed by another kind of character, nor anything
 * but white space by white space other than a line's end, and none looks behind. So the text on both sides can be
 * tokenised by itself.
 */
const safeCut = /(?<=\p{L})(?=\P{L})|(?<=\p{N})(?=\P{N})|(?<=\S)(?=[^\S\r\n])/gu;

/**
 * Cuts a text into chunks that give the same tokens as the whole, so that time grows with length alone; never inside
 * a surrogate pair, nor inside one of the `whole` words (special tokens, which are found before any pattern).
 */
export function* chunks(text: string, whole: readonly string[]): Generator<string> {
  const longest = whole.reduce((most, word) => Math.max(most, word.length), 0);
  const isInside = (cut: number) => {
    const around = text.slice(Math.max(0, cut - longest + 1), cut + longest - 1);
    const before = Math.min(cut, longest - 1);
    return whole.some(word => straddles(around, before, word));
  };
  let start = 0;
  while (text.length - start > chunkLength) {
    const end = cutAfter(text, start, isInside);
    yield text.slice(start, end);
    start = end;
  }
  if (start < text.length) yield text.slice(start);
}

/** Whether some occurrence of `word` in `text` begins before index `cut` and ends after it. */
function straddles(text: string, cut: number, word: string): boolean {
  const at = text.indexOf(word, Math.max(0, cut - word.length + 1));
  return at !== -1 && at < cut;
}

function cutAfter(text: string, start: number, isInside: (cut: number) => boolean): number {
  const latest = start + longestChunk;
  const reach = text.slice(start, latest + 1);
  safeCut.lastIndex = chunkLength;
  for (let match = safeCut.exec(reach); match; match = safeCut.exec(reach)) {
    const cut = start + match.index;
    if (!isInside(cut)) return cut;
    safeCut.lastIndex = match.index + 1;
  }
  if (latest >= text.length) return text.length;
  const splitsPair = /[\uD800-\uDBFF][\uDC00-\uDFFF]/.test(text.slice(latest - 1, latest + 1));
  return splitsPair ? latest - 1 : latest;
}
