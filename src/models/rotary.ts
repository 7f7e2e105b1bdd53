/** cos and sin of position times theta^(-2i/headWidth), row-major (rows, columns). */
export interface RotaryTables {
  readonly rows: number;
  readonly cosines: Float32Array;
  readonly sines: Float32Array;
}

/**
 * For the headWidth / 2 pairs of a head, or for as many as `columns` says. Rounds each angle to float32 as transformers does, so that late positions agree with it.
 * Source: Su et al. 2021, arXiv 2104.09864, equation 15.
 */
export function rotaryTables(
  headWidth: number,
  theta: number,
  rows: number,
  columns = headWidth / 2,
): RotaryTables {
  const cosines = new Float32Array(rows * columns);
  const sines = new Float32Array(rows * columns);
  for (let i = 0; i < columns; i++) {
    const frequency = Math.fround(theta ** ((-2 * i) / headWidth));
    for (let row = 0; row < rows; row++) {
      const angle = Math.fround(row * frequency);
      cosines[row * columns + i] = Math.cos(angle);
      sines[row * columns + i] = Math.sin(angle);
    }
  }
  return { rows, cosines, sines };
}
