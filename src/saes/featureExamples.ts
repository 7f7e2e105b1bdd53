import { sourceAt, type Corpus } from './describedCorpus.ts';
import type { Firings } from './featureIndex.ts';
import { exampleCount, exampleLength, type FeatureTable } from './featureTable.ts';

type Examples = Pick<
  FeatureTable,
  'exampleTokens' | 'exampleActivations' | 'exampleLengths' | 'exampleSources'
>;

/** The places where the feature fires most in text that may be quoted, each with what surrounds it. */
export function findExamples(fired: Firings, corpus: Corpus, to: Examples, feature: number): void {
  const { positions, activations } = fired;
  const order = Array.from(positions.keys())
    .filter(i => corpus.sources[sourceAt(corpus, positions[i] ?? 0)]?.quotable)
    .sort((a, b) => (activations[b] ?? 0) - (activations[a] ?? 0));
  const shown: { from: number; to: number }[] = [];
  const texts = new Set<string>();
  for (const i of order) {
    if (shown.length === exampleCount) break;
    const peak = positions[i] ?? 0;
    if (shown.some(example => peak >= example.from && peak < example.to)) continue;
    const example = surroundings(corpus, peak);
    // Boilerplate would fill all six places with one sentence.
    const text = corpus.tokenIds.subarray(Math.max(example.from, peak - 3), peak + 2).join();
    if (texts.has(text)) continue;
    texts.add(text);
    writeExample(fired, corpus, to, feature * exampleCount + shown.length, example);
    shown.push(example);
  }
}

function writeExample(
  { positions, activations }: Firings,
  corpus: Corpus,
  to: Examples,
  at: number,
  example: { from: number; to: number },
): void {
  const tokens = corpus.tokenIds.subarray(example.from, example.to);
  to.exampleTokens.set(tokens, at * exampleLength);
  to.exampleLengths[at] = tokens.length;
  to.exampleSources[at] = sourceAt(corpus, example.from);
  for (let i = lowerBound(positions, example.from); (positions[i] ?? Infinity) < example.to; i++) {
    to.exampleActivations[at * exampleLength + (positions[i] ?? 0) - example.from] =
      activations[i] ?? 0;
  }
}

/** The tokens around a position, all of its window and its document. */
function surroundings(
  { tokenIds, windowLength, separator, bos }: Corpus,
  peak: number,
): { from: number; to: number } {
  const ledStart = Math.floor(peak / windowLength) * windowLength;
  const windowStart = ledStart + (bos === undefined || peak === ledStart ? 0 : 1);
  const windowEnd = Math.min(ledStart + windowLength, tokenIds.length);
  const half = Math.floor(exampleLength / 2);
  const latest = Math.max(windowStart, windowEnd - exampleLength);
  let from = Math.min(Math.max(windowStart, peak - half), latest);
  let to = Math.min(from + exampleLength, windowEnd);
  for (let i = peak - 1; i >= from; i--) if (tokenIds[i] === separator) from = i + 1;
  for (let i = to - 1; i > peak; i--) if (tokenIds[i] === separator) to = i;
  return { from, to };
}

/** The first index whose value is not below `value`. */
function lowerBound(sorted: Uint32Array, value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
