/** cos and sin of position times theta^(-2i/headWidth), row-major (rows, headWidth / 2). */
export interface RotaryTables {
  readonly rows: number;
  readonly cosines: Float32Array;
  readonly sines: Float32Array;
}

/**
 * Rounds each angle to float32 as transformers does, so that late positions agree with it.
 * Source: Su et al. 2021, arXiv 2104.09864, equation 15.
 */
export function rotaryTables(headWidth: number, theta: number, rows: number): RotaryTables {
  const half = headWidth / 2;
  const cosines = new Float32Array(rows * half);
  const sines = new Float32Array(rows * half);
  for (let i = 0; i < half; i++) {
    const frequency = Math.fround(theta ** ((-2 * i) / headWidth));
    for (let row = 0; row < rows; row++) {
      const angle = Math.fround(row * frequency);
      cosines[row * half + i] = Math.cos(angle);
      sines[row * half + i] = Math.sin(angle);
    }
  }
  return { rows, cosines, sines };
}
