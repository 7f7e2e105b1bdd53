import { spreadText } from '../table.ts';
import type { Trained } from './cell.ts';

/** The mean of the seeds' maps (L, L). */
export function meanMap(trained: readonly Trained[]): number[] {
  const [first] = trained;
  return (first?.map ?? []).map(
    (_, at) => trained.reduce((sum, { map }) => sum + (map[at] ?? NaN), 0) / trained.length,
  );
}

/**
 * What the map is expected to be before any training (L, L): the own layer's identity of H heads against entries of
 * U(-b, b), b = sqrt(3 / (l H)), whose mean size is b / 2.
 */
export function initialMap(layers: number, heads: number): number[] {
  const map = Array.from({ length: layers * layers }, () => 0);
  for (let layer = 0; layer < layers; layer++) {
    const other = Math.sqrt(3 / ((layer + 1) * heads)) / 2;
    const total = 1 / heads + layer * other;
    for (let buffer = 0; buffer <= layer; buffer++)
      map[layer * layers + buffer] = (buffer === layer ? 1 / heads : other) / total;
  }
  return map;
}

/** How alike the seeds' maps are, as they stand and without what initialisation gave them. */
export function resemblance(trained: readonly Trained[], initial: readonly number[]): string {
  const pairs = trained.flatMap((a, i) => trained.slice(i + 1).map(b => [a, b] as const));
  if (pairs.length === 0) return 'One seed.';
  const layers = Math.sqrt(initial.length);
  // The first layer has no router, and what lies behind a layer is 0 for all.
  const isRead = (at: number): boolean => at >= layers && at % layers <= Math.floor(at / layers);
  const values = ({ map }: Trained, less: boolean): number[] =>
    map.map((share, at) => share - (less ? (initial[at] ?? NaN) : 0)).filter((_, at) => isRead(at));
  const between = (less: boolean): string =>
    spreadText(
      pairs.map(([a, b]) => correlation(values(a, less), values(b, less))),
      { digits: 2 },
    );
  return `Correlation between the seeds' maps: ${between(false)}; minus the expectation at initialisation: ${between(true)}.`;
}

/** Pearson's. */
function correlation(a: readonly number[], b: readonly number[]): number {
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  const dot = (x: readonly number[], y: readonly number[], mx: number, my: number): number =>
    x.reduce((sum, value, i) => sum + (value - mx) * ((y[i] ?? NaN) - my), 0);
  return dot(a, b, meanA, meanB) / Math.sqrt(dot(a, a, meanA, meanA) * dot(b, b, meanB, meanB));
}
