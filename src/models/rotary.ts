import type { ModelConfig, Rotation } from './model.ts';
import type { HeadShape } from './paddedHeads.ts';

/** cos and sin of position times frequency, row-major (rows, columns). */
export interface RotaryTables {
  readonly rows: number;
  readonly cosines: Float32Array;
  readonly sines: Float32Array;
}

type RotatedConfig = Pick<ModelConfig, 'headWidth' | 'ropeTheta' | 'departures'>;

/** The rotation of a Llama: pair i of a head turns by theta^(-2i/width). Source: Su et al. 2021, arXiv 2104.09864, equation 15. */
export function plainRotation(width: number, theta: number): Rotation {
  const frequencies = Array.from({ length: width / 2 }, (_, i) =>
    Math.fround(theta ** ((-2 * i) / width)),
  );
  return { width, frequencies, scale: 1 };
}

/** The model's rotations, that of layers with a window last where they have their own; none with learned positions. */
export function rotationsOf(config: RotatedConfig): readonly Rotation[] {
  if (config.departures?.learnedPositions) return [];
  return config.departures?.rotations ?? [plainRotation(config.headWidth, config.ropeTheta)];
}

/** The model's heads, as the attention pads them. */
export function headShape(config: RotatedConfig): HeadShape {
  return { headWidth: config.headWidth, rotaryWidth: rotationsOf(config)[0]?.width ?? 0 };
}

/** Which of the model's rotations a layer uses. */
export function rotationIndex({ departures }: Pick<ModelConfig, 'departures'>, layer: number): 0 | 1 {
  const isLocal = departures?.window?.layers[layer] === true;
  return isLocal && departures.rotations?.length === 2 ? 1 : 0;
}

/**
 * Tables for as many pairs as the rotation has, or `columns`, of which the others do not turn. Rounds each angle to
 * float32 as transformers does, so that late positions agree with it.
 */
export function rotaryTables(
  { frequencies, scale }: Rotation,
  rows: number,
  columns = frequencies.length,
): RotaryTables {
  const cosines = new Float32Array(rows * columns).fill(1);
  const sines = new Float32Array(rows * columns);
  for (const [i, frequency] of frequencies.entries()) {
    for (let row = 0; row < rows; row++) {
      const angle = Math.fround(row * frequency);
      cosines[row * columns + i] = scale * Math.cos(angle);
      sines[row * columns + i] = scale * Math.sin(angle);
    }
  }
  return { rows, cosines, sines };
}
