import { outputWidthOf, type Dictionary } from '../../saes/dictionary.ts';
import { excludedTokens } from '../../saes/tokenPolicy.ts';
import { cellLength } from './windows.ts';

/** What a cell's explained variance is made of besides the errors. */
export interface CellStatistics {
  /** |x|^2 of what the SAE reconstructs (t). */
  readonly squaredNorm: Float64Array;
  /** Its sum over the tokens that count (O). */
  readonly sum: Float64Array;
  /** 1: left out of every statistic (t). */
  readonly excluded: Uint8Array;
}

export type StatisticsOf = Pick<Dictionary, 'inputWidth' | 'output' | 'tokenPolicy'>;

/** Of the rows x (t, D) and target (t, O), cell by cell. `startsWindow`: the first is the first token of its window. */
export function cellStatistics(
  dictionary: StatisticsOf,
  x: Float32Array,
  target: Float32Array,
  startsWindow: boolean,
): CellStatistics[] {
  const { inputWidth: D, tokenPolicy } = dictionary;
  const O = outputWidthOf(dictionary);
  const cells: CellStatistics[] = [];
  for (let row = 0; row < x.length / D; row += cellLength) {
    const rows = target.subarray(row * O, (row + cellLength) * O);
    const excluded = excludedTokens(
      x.subarray(row * D, (row + cellLength) * D),
      D,
      startsWindow && row === 0,
      tokenPolicy,
    );
    cells.push({
      excluded,
      squaredNorm: squaredNorms(rows, O),
      sum: sumOfIncluded(rows, O, excluded),
    });
  }
  return cells;
}

function squaredNorms(x: Float32Array, width: number): Float64Array {
  const norms = new Float64Array(x.length / width);
  x.forEach((value, i) => {
    const t = Math.floor(i / width);
    norms[t] = (norms[t] ?? 0) + value * value;
  });
  return norms;
}

function sumOfIncluded(x: Float32Array, width: number, excluded: Uint8Array): Float64Array {
  const sum = new Float64Array(width);
  excluded.forEach((out, t) => {
    if (out) return;
    for (let i = 0; i < width; i++) sum[i] = (sum[i] ?? 0) + (x[t * width + i] ?? 0);
  });
  return sum;
}
