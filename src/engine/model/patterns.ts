import { Failure } from '../../common/failure.ts';

/** Bounds the memory of one hook's pattern: 2 GiB. */
const mostValues = 1 << 29;

/** Refuses, before anything runs, a pattern of T rows and S columns that would not fit. */
export function refuseLargePattern(heads: number, rows: number, columns: number): void {
  if (heads * rows * columns <= mostValues) return;
  throw new Failure(
    'too-large',
    `The attention pattern of ${rows} tokens and ${heads} heads does not fit memory.`,
    { action: 'Ask for it on a shorter text.' },
  );
}

/**
 * The attention's weights of consecutive stretches, (H, t, s) each with s the tokens so far, as one (H, T, S): what a
 * stretch's tokens cannot see is 0.
 */
export function joinedPatterns(
  parts: readonly (Float32Array | undefined)[],
  heads: number,
  past = 0,
): Float32Array {
  const shapes = patternShapes(parts, heads, past);
  const columns = shapes.at(-1)?.columns ?? past; // S
  const rows = columns - past; // T
  const all = new Float32Array(heads * rows * columns);
  let first = 0;
  for (const [i, { rows: t, columns: s }] of shapes.entries()) {
    const part = parts[i] ?? new Float32Array(0);
    for (let head = 0; head < heads; head++) {
      for (let row = 0; row < t; row++) {
        const from = (head * t + row) * s;
        all.set(part.subarray(from, from + s), (head * rows + first + row) * columns);
      }
    }
    first += t;
  }
  return all;
}

/** t and s of each stretch, from its length H t (s0 + t), s0 being the tokens before it. */
function patternShapes(
  parts: readonly (Float32Array | undefined)[],
  heads: number,
  past: number,
): { rows: number; columns: number }[] {
  let before = past;
  return parts.map(part => {
    const area = (part?.length ?? 0) / heads;
    const rows = Math.round((Math.sqrt(before * before + 4 * area) - before) / 2);
    before += rows;
    return { rows, columns: before };
  });
}
