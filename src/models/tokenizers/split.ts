import type { AlignedText } from './alignedText.ts';

/** What becomes of the matches of a pattern, as in the tokenizers library's SplitDelimiterBehavior. */
export const splitBehaviors = ['Isolated', 'Removed', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'] as const;
export type SplitBehavior = (typeof splitBehaviors)[number];

/** A stretch of a text that the pattern matches, or one between two matches. */
interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly isMatch: boolean;
}

/** The pieces of a text, none of them empty. `invert`: what lies between the matches is what the pattern stands for. */
export function* split(
  piece: AlignedText,
  pattern: RegExp | undefined,
  behavior: SplitBehavior,
  invert: boolean,
): Generator<AlignedText> {
  const stretches = stretchesOf(piece.text, pattern, invert);
  for (const { from, to } of behavior === 'Isolated' ? stretches : gathered(stretches, behavior)) {
    if (to > from) yield from === 0 && to === piece.length ? piece : piece.slice(from, to);
  }
}

function* stretchesOf(text: string, pattern: RegExp | undefined, invert: boolean): Generator<Stretch> {
  let at = 0;
  if (pattern) {
    for (const { 0: found, index } of text.matchAll(pattern)) {
      if (index > at) yield { from: at, to: index, isMatch: invert };
      at = index + found.length;
      yield { from: index, to: at, isMatch: !invert };
    }
  }
  if (at < text.length) yield { from: at, to: text.length, isMatch: invert };
}

function* gathered(stretches: Iterable<Stretch>, behavior: SplitBehavior): Generator<Stretch> {
  let held: Stretch | undefined;
  for (const next of stretches) {
    if (behavior === 'Removed') {
      if (!next.isMatch) yield next;
    } else if (held && joins(held, next, behavior)) {
      held = { from: held.from, to: next.to, isMatch: next.isMatch };
    } else {
      if (held) yield held;
      held = next;
    }
  }
  if (held) yield held;
}

/** Of several matches in a row, only the one beside a text between matches joins it. */
function joins(held: Stretch, next: Stretch, behavior: SplitBehavior): boolean {
  if (behavior === 'Contiguous') return held.isMatch === next.isMatch;
  return behavior === 'MergedWithPrevious' ? next.isMatch && !held.isMatch : held.isMatch && !next.isMatch;
}
