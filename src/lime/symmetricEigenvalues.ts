import { Failure } from '../common/failure.ts';

/*
 * Eigenvalues without eigenvectors: Householder's reduction to a tridiagonal matrix, then implicit QL steps. Source:
 * Martin, Reinsch and Wilkinson 1968, Numer. Math. 11 (tred1); Martin and Wilkinson 1968, Numer. Math. 12 (imtql1).
 * Libraries for JavaScript compute the eigenvectors as well, which takes eight times as long at n = 256.
 */

/** The eigenvalues of a symmetric matrix (n, n), ascending; only its lower triangle is read, and is overwritten. */
export function symmetricEigenvalues(matrix: Float64Array, n: number): Float64Array {
  if (!matrix.every(Number.isFinite)) {
    throw new Failure('internal', 'Eigenvalues of a matrix with values that are not finite.');
  }
  return implicitQl(tridiagonal(matrix, n)).sort();
}

interface Tridiagonal {
  readonly diagonal: Float64Array; // (n)
  /** Beside the diagonal: element i couples i and i + 1; the last is 0. */
  readonly beside: Float64Array; // (n)
}

function tridiagonal(a: Float64Array, n: number): Tridiagonal {
  const diagonal = new Float64Array(n);
  const beside = new Float64Array(n);
  const v = new Float64Array(n);
  for (let k = 0; k < n; k++) {
    diagonal[k] = at(a, k * n + k);
    let squares = 0;
    for (let i = k + 1; i < n; i++) {
      v[i] = at(a, i * n + k);
      squares += at(v, i) ** 2;
    }
    if (k >= n - 2 || squares === 0) {
      if (k < n - 1) beside[k] = at(v, k + 1);
      continue;
    }
    const first = at(v, k + 1);
    const reflected = first > 0 ? -Math.sqrt(squares) : Math.sqrt(squares);
    beside[k] = reflected;
    v[k + 1] = first - reflected;
    reflect(a, n, k + 1, v, squares - reflected * first);
  }
  return { diagonal, beside };
}

/** H A H of the rows and columns from `start` on, for H = 1 - v v^T / h. */
function reflect(a: Float64Array, n: number, start: number, v: Float64Array, h: number): void {
  const p = new Float64Array(n); // A v / h
  for (let i = start; i < n; i++) {
    const row = i * n;
    const vi = at(v, i);
    let sum = 0;
    for (let j = start; j < i; j++) {
      const value = at(a, row + j);
      sum += value * at(v, j);
      p[j] = at(p, j) + value * vi;
    }
    p[i] = at(p, i) + sum + at(a, row + i) * vi;
  }
  let product = 0;
  for (let i = start; i < n; i++) {
    p[i] = at(p, i) / h;
    product += at(p, i) * at(v, i);
  }
  for (let i = start; i < n; i++) p[i] = at(p, i) - (product / (2 * h)) * at(v, i);
  for (let i = start; i < n; i++) {
    const row = i * n;
    const vi = at(v, i);
    const pi = at(p, i);
    for (let j = start; j <= i; j++) a[row + j] = at(a, row + j) - vi * at(p, j) - pi * at(v, j);
  }
}

/** Most steps until one eigenvalue is found; three or so are usual. */
const mostSteps = 60;

function implicitQl({ diagonal: d, beside: e }: Tridiagonal): Float64Array {
  const n = d.length;
  const negligible = Number.EPSILON * normOf(d, e);
  for (let found = 0; found < n; found++) {
    for (let step = 0; ; step++) {
      const end = blockEnd(e, found, negligible);
      if (end === found) break;
      if (step === mostSteps) throw new Failure('internal', 'The eigenvalues did not converge.');
      qlStep(d, e, found, end);
    }
  }
  return d;
}

/** The largest sum of a row. */
function normOf(d: Float64Array, e: Float64Array): number {
  return d.reduce(
    (most, value, i) =>
      Math.max(most, Math.abs(value) + Math.abs(e[i] ?? 0) + Math.abs(e[i - 1] ?? 0)),
    0,
  );
}

/**
 * The last row of the block that begins at `start` and is coupled by more than rounding of the whole matrix: measured by
 * its own rows, the blocks of small eigenvalues of a matrix of low rank might never fall apart.
 */
function blockEnd(e: Float64Array, start: number, negligible: number): number {
  for (let i = start; i < e.length - 1; i++) {
    if (Math.abs(at(e, i)) <= negligible) return i;
  }
  return e.length - 1;
}

/** One QL step of the block with the shift of its upper corner. */
function qlStep(d: Float64Array, e: Float64Array, start: number, end: number): void {
  const ratio = (at(d, start + 1) - at(d, start)) / (2 * at(e, start));
  const root = Math.sqrt(ratio * ratio + 1);
  let g = at(d, end) - at(d, start) + at(e, start) / (ratio + (ratio >= 0 ? root : -root));
  let [sine, cosine, moved] = [1, 1, 0];
  for (let i = end - 1; i >= start; i--) {
    const f = sine * at(e, i);
    const b = cosine * at(e, i);
    const length = Math.sqrt(f * f + g * g);
    e[i + 1] = length;
    if (length === 0) {
      // The block falls apart here.
      d[i + 1] = at(d, i + 1) - moved;
      e[end] = 0;
      return;
    }
    sine = f / length;
    cosine = g / length;
    g = at(d, i + 1) - moved;
    const r = (at(d, i) - g) * sine + 2 * cosine * b;
    moved = sine * r;
    d[i + 1] = g + moved;
    g = cosine * r - b;
  }
  d[start] = at(d, start) - moved;
  e[start] = g;
  e[end] = 0;
}

function at(values: Float64Array, i: number): number {
  return values[i] ?? NaN;
}
