import type { TrainingArrays } from './backend.ts';
import { randomStream, streams } from './seeds.ts';
import type { TokenStatistics } from './tokenStatistics.ts';

/**
 * Initial weights: decoder rows of random direction and length 1, the encoder their transpose (Gao et al., arXiv
 * 2406.04093), the decoder bias the mean of x where there is one, and the encoder bias -W_enc mean(x), so that it
 * starts as an encoder of x - mean(x).
 */
export function initialise(
  arrays: TrainingArrays,
  seed: number,
  statistics: TokenStatistics,
): void {
  const { features, width } = arrays.shape;
  const random = randomStream(seed, streams.weights);
  const mean = statistics.mean.map(m => m * statistics.scale);
  arrays.decoderBias?.value.set(mean);
  const row = new Float64Array(width);
  for (let f = 0; f < features; f++) {
    for (let i = 0; i < width; i++) row[i] = random.normal();
    const length = Math.hypot(...row);
    let projection = 0;
    for (let i = 0; i < width; i++) {
      const w = (row[i] ?? 0) / length;
      arrays.encoder.value[f * arrays.stride + i] = w;
      arrays.decoder.value[f * arrays.stride + i] = w;
      projection += w * (mean[i] ?? 0);
    }
    arrays.encoderBias.value[f] = -projection;
  }
}
