/** Mean and standard deviation of each feature over many rows, in one pass. Source: Welford 1962, Technometrics 4. */
export class FeatureMoments {
  rows = 0;
  private readonly mean: Float64Array; // (width)
  private readonly squares: Float64Array; // (width): of the differences from the mean

  constructor(width: number) {
    this.mean = new Float64Array(width);
    this.squares = new Float64Array(width);
  }

  add(rows: Float32Array): void {
    const { mean, squares } = this;
    const width = mean.length;
    for (let first = 0; first < rows.length; first += width) {
      this.rows++;
      for (let i = 0; i < width; i++) {
        const value = rows[first + i] ?? NaN;
        const before = mean[i] ?? NaN;
        const after = before + (value - before) / this.rows;
        mean[i] = after;
        squares[i] = (squares[i] ?? NaN) + (value - before) * (value - after);
      }
    }
  }

  /**
   * The rows less the mean, by the standard deviation (of a sample) plus 1e-5: the normalisation of LIMe's authors
   * (corl-team/lime, src/analysis/entropy.py).
   */
  normalised(rows: Float32Array): Float64Array {
    const { mean } = this;
    const width = mean.length;
    const scale = this.squares.map(sum => 1 / (Math.sqrt(sum / (this.rows - 1)) + 1e-5));
    return Float64Array.from(
      rows,
      (value, at) => (value - (mean[at % width] ?? NaN)) * (scale[at % width] ?? NaN),
    );
  }
}
