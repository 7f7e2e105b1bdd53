import { symmetricEigenvalues } from './symmetricEigenvalues.ts';

/**
 * The matrix-based Renyi entropy in nats of a sample's rows Z (t, width): S = log(sum of p_i^alpha) / (1 - alpha) with
 * the eigenvalues of K = Z Z^T by their sum as p; at alpha = 1 its limit, -sum of p_i log p_i. From 0, where all rows are
 * parallel, to log(min(t, width)), where they point everywhere alike.
 * Source: Giraldo et al. 2015, IEEE Trans. Inf. Theory 61; as used in arXiv 2502.09245, section 4.
 */
export function matrixEntropy(rows: Float64Array, width: number, alpha: number): number {
  const gram = smallerGram(rows, width);
  const size = Math.sqrt(gram.length);
  const eigenvalues = symmetricEigenvalues(gram, size).map(value => Math.max(value, 0));
  const trace = eigenvalues.reduce((sum, value) => sum + value, 0);
  const shares = eigenvalues.map(value => value / trace).filter(share => share > 0);
  if (alpha === 1) return shares.reduce((sum, share) => sum - share * Math.log(share), 0);
  return Math.log(shares.reduce((sum, share) => sum + share ** alpha, 0)) / (1 - alpha);
}

/** Z Z^T, or Z^T Z where that is smaller: their eigenvalues are the same but for zeros. Only the lower triangle is made. */
function smallerGram(rows: Float64Array, width: number): Float64Array {
  const count = rows.length / width;
  return count <= width
    ? products(rows, count, width)
    : products(transposed(rows, width), width, count);
}

/** Products of all pairs of `count` vectors: (count, count). */
function products(vectors: Float64Array, count: number, length: number): Float64Array {
  const result = new Float64Array(count * count);
  for (let i = 0; i < count; i++) {
    const a = vectors.subarray(i * length, (i + 1) * length);
    for (let j = 0; j <= i; j++) {
      const b = vectors.subarray(j * length, (j + 1) * length);
      result[i * count + j] = dot(a, b);
    }
  }
  return result;
}

/** In four sums that do not wait for one another. */
function dot(a: Float64Array, b: Float64Array): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  let k = 0;
  for (; k + 3 < a.length; k += 4) {
    s0 += (a[k] ?? NaN) * (b[k] ?? NaN);
    s1 += (a[k + 1] ?? NaN) * (b[k + 1] ?? NaN);
    s2 += (a[k + 2] ?? NaN) * (b[k + 2] ?? NaN);
    s3 += (a[k + 3] ?? NaN) * (b[k + 3] ?? NaN);
  }
  for (; k < a.length; k++) s0 += (a[k] ?? NaN) * (b[k] ?? NaN);
  return s0 + s1 + (s2 + s3);
}

function transposed(rows: Float64Array, width: number): Float64Array {
  const count = rows.length / width;
  return Float64Array.from(
    rows,
    (_, at) => rows[(at % count) * width + Math.floor(at / count)] ?? NaN,
  );
}
