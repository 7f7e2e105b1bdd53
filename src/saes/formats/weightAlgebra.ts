/** Rewritings of an SAE's weights that leave its reconstructions as they are. */

/** The transpose of a row-major matrix (rows, columns), in tiles that fit the cache. */
export function transpose(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(matrix.length); // (columns, rows)
  const tile = 32;
  for (let row0 = 0; row0 < rows; row0 += tile) {
    const rowEnd = Math.min(row0 + tile, rows);
    for (let column0 = 0; column0 < columns; column0 += tile) {
      const columnEnd = Math.min(column0 + tile, columns);
      for (let column = column0; column < columnEnd; column++) {
        for (let row = row0; row < rowEnd; row++) {
          result[column * rows + row] = matrix[row * columns + column] ?? 0;
        }
      }
    }
  }
  return result;
}

interface Matrices {
  readonly encoder: Float32Array; // (F, D)
  readonly encoderBias: Float32Array; // (F)
  readonly decoder: Float32Array; // (F, O)
  readonly decoderBias: Float32Array; // (O)
}

/**
 * Folds scales into the weights, in place: the SAE was trained on `scale` times what it reads to give `outputScale` times
 * what it reconstructs. Activations stay as in training. Source: SAELens `fold_activation_norm_scaling_factor`.
 */
export function foldInputScale(
  { encoder, decoder, decoderBias }: Omit<Matrices, 'encoderBias'>,
  scale: number,
  outputScale = scale,
): void {
  for (let i = 0; i < encoder.length; i++) encoder[i] = (encoder[i] ?? 0) * scale;
  for (let i = 0; i < decoder.length; i++) decoder[i] = (decoder[i] ?? 0) / outputScale;
  for (let i = 0; i < decoderBias.length; i++) decoderBias[i] = (decoderBias[i] ?? 0) / outputScale;
}

/**
 * Makes every decoder row of unit norm and its activation larger by as much, in place. Source: SAELens
 * `fold_W_dec_norm`, which is exact where the activations were scaled by the norm before the top k were taken.
 */
export function foldDecoderNorm({ encoder, encoderBias, decoder }: Matrices): void {
  const F = encoderBias.length;
  const norms = rowNorms(decoder, F);
  scaleRows(encoder, norms, encoder.length / F);
  for (let i = 0; i < decoder.length; i++) {
    const norm = norms[Math.floor((i * F) / decoder.length)] ?? 0;
    decoder[i] = norm === 0 ? 0 : (decoder[i] ?? 0) / norm;
  }
  for (let f = 0; f < F; f++) encoderBias[f] = (encoderBias[f] ?? 0) * (norms[f] ?? 0);
}

/** The length of each of a matrix's rows, (rows). */
export function rowNorms(matrix: Float32Array, rows: number): Float64Array {
  const columns = matrix.length / rows;
  const norms = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    let squares = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) squares += (matrix[i] ?? 0) ** 2;
    norms[row] = Math.sqrt(squares);
  }
  return norms;
}

/** Multiplies each row of a matrix (rows, columns) by its own factor (rows), in place. */
export function scaleRows(
  matrix: Float32Array,
  factors: Float32Array | Float64Array,
  columns: number,
): void {
  factors.forEach((factor, row) => {
    for (let i = row * columns; i < (row + 1) * columns; i++) matrix[i] = (matrix[i] ?? 0) * factor;
  });
}
