import { TSNE } from '@keckelt/tsne';
import type { Random } from '../common/random.ts';

/** Iterations of a projection, as the authors' (corl-team/lime, src/analysis/representations.py). */
export const projectionSteps = 1000;

/** Most rows of a projection: the exact method compares every pair at every step. */
export const mostProjected = 1000;

/** Neighbours that a row is placed by; fewer where there are not three times as many rows. */
const usualPerplexity = 30;

/**
 * Rows as points of a plane, near rows near each other: t-SNE of the rows divided by their norms. The same seed gives the
 * same points. Source: van der Maaten and Hinton 2008, JMLR 9.
 */
export class TokenProjection {
  private readonly tsne: TSNE;

  /** `rows`: (N, width), N from 2 to `mostProjected`. */
  constructor(rows: Float32Array, width: number, random: Random) {
    const count = rows.length / width;
    this.tsne = new TSNE({ dim: 2, perplexity: Math.min(usualPerplexity, (count - 1) / 3) });
    this.tsne.initDataRaw(
      Array.from({ length: count }, (_, n) => unit([...rows.subarray(n * width, (n + 1) * width)])),
    );
    // The library draws where it begins by Math.random; what it gives is the array that it goes on from.
    for (const point of this.points()) {
      for (const axis of point.keys()) point[axis] = 1e-4 * random.normal();
    }
  }

  step(): void {
    this.tsne.step();
  }

  /** (N, 2) */
  result(): Float32Array {
    return Float32Array.from(this.points().flat());
  }

  private points(): number[][] {
    return this.tsne.getSolution() as number[][];
  }
}

function unit(row: number[]): number[] {
  const norm = Math.hypot(...row);
  return norm === 0 ? row : row.map(value => value / norm);
}
