import type { Dictionary } from './dictionary.ts';

type Decoder = Pick<Dictionary, 'decoder' | 'inputWidth' | 'width'>;

/** A feature of another dictionary and how alike the two decoder directions are. */
export interface Neighbour {
  readonly feature: number;
  readonly cosine: number;
}

/** The `count` features of `base` whose decoder rows have the largest cosine with a feature's, largest first. */
export function nearestFeatures(
  { decoder, inputWidth: D }: Decoder,
  feature: number,
  base: Decoder,
  count: number,
): Neighbour[] {
  const row = decoder.subarray(feature * D, (feature + 1) * D);
  const length = Math.hypot(...row);
  const nearest: Neighbour[] = [];
  for (let f = 0; f < base.width; f++) {
    const other = f * D;
    let product = 0;
    let squares = 0;
    for (let d = 0; d < D; d++) {
      const w = base.decoder[other + d] ?? 0;
      product += w * (row[d] ?? 0);
      squares += w * w;
    }
    const cosine = product / (length * Math.sqrt(squares));
    if (!(cosine > (nearest[count - 1]?.cosine ?? -Infinity))) continue;
    nearest.push({ feature: f, cosine });
    nearest.sort((a, b) => b.cosine - a.cosine);
    nearest.length = Math.min(nearest.length, count);
  }
  return nearest;
}
