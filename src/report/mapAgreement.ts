import type { LayerMap, MapAgreement } from '../contracts/layerMap.ts';

/** Below this, two fits do not say the same of the earlier layers. */
const agreeing = 0.9;

export function mapAgreement(
  a: Pick<LayerMap, 'layers' | 'routers'>,
  b: Pick<LayerMap, 'layers' | 'routers'>,
): MapAgreement {
  const pairs = (end: (layer: number) => number): [number, number][] =>
    Array.from({ length: a.layers - 1 }, (_, i) => i + 1).flatMap(layer =>
      Array.from({ length: end(layer) }, (_, buffer): [number, number] => {
        const at = layer * a.layers + buffer;
        return [a.routers.map[at] ?? NaN, b.routers.map[at] ?? NaN];
      }),
    );
  return {
    all: correlation(pairs(layer => layer + 1)),
    earlier: correlation(pairs(layer => layer)),
  };
}

/** NaN where one side does not vary. */
function correlation(pairs: readonly (readonly [number, number])[]): number {
  const mean = (side: 0 | 1) => pairs.reduce((sum, pair) => sum + pair[side], 0) / pairs.length;
  const [meanA, meanB] = [mean(0), mean(1)];
  let [product, squaresA, squaresB] = [0, 0, 0];
  for (const [a, b] of pairs) {
    product += (a - meanA) * (b - meanB);
    squaresA += (a - meanA) ** 2;
    squaresB += (b - meanB) ** 2;
  }
  return product / Math.sqrt(squaresA * squaresB);
}

/** The agreement of a fit with another of the same model, in a sentence that says where they differ. */
export function agreementText(name: string, { all, earlier }: MapAgreement): string {
  const figures = `correlation ${all.toFixed(3)}, of the earlier layers alone ${earlier.toFixed(3)}`;
  return earlier >= agreeing
    ? `Agrees with “${name}”: ${figures}.`
    : `Not stable yet: against “${name}” ${figures}. Fit on more tokens before reading single cells.`;
}
