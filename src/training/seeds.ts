import { Random } from '../common/random.ts';

/** A random stream of its own for each use: the same seed and path give the same numbers. */
export function randomStream(seed: number, ...path: readonly number[]): Random {
  let mixed = seed >>> 0;
  for (const part of path) mixed = Math.imul(mixed ^ (part + 0x7f4a7c15), 0x2c1b3c6d) >>> 0;
  return new Random(mixed);
}

/** First parts of a path. */
export const streams = { weights: 1, statistics: 2, heldOut: 3, windows: 4, rows: 5 } as const;
