import type { Distribution } from '../../contracts/lookAt.ts';

const bins = 40;

/** Least, mean, most and a histogram of the finite numbers, of which there may be none. */
export function distribution(values: Float32Array): Distribution {
  let [min, max, sum, left] = [Infinity, -Infinity, 0, 0];
  for (const value of values) {
    if (!Number.isFinite(value)) left++;
    else [min, max, sum] = [Math.min(min, value), Math.max(max, value), sum + value];
  }
  const counts = new Uint32Array(bins);
  const scale = max > min ? bins / (max - min) : 0;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    const bin = Math.min(Math.floor((value - min) * scale), bins - 1);
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return { min, max, mean: sum / (values.length - left), counts, left };
}

/** Euclidean norms of the rows of a matrix (rows, columns). */
export function rowNorms(matrix: Float32Array, rows: number): Float32Array {
  const columns = matrix.length / rows;
  const norms = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    let squares = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) squares += (matrix[i] ?? 0) ** 2;
    norms[row] = Math.sqrt(squares);
  }
  return norms;
}
