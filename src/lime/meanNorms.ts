import type { RouteMap } from '../contracts/layerMap.ts';
import { type MapShape, routeMap } from './layerMap.ts';

/** The map by contribution: shares of the mean over tokens of |R_j V_j|, by layer and head. */
export class MeanNorms {
  private readonly shape: MapShape;
  private readonly sums: ReadonlyMap<number, Float64Array>; // (KV, layer + 1) each

  constructor(shape: MapShape) {
    this.shape = shape;
    const routed = Array.from({ length: shape.layers - 1 }, (_, i) => i + 1);
    this.sums = new Map(
      routed.map(layer => [layer, new Float64Array(shape.keyValueHeads * (layer + 1))]),
    );
  }

  /** Adds norms (t, KV, layer + 1). */
  add(layer: number, norms: Float32Array): void {
    const sums = this.sums.get(layer);
    if (!sums) return;
    for (const [at, norm] of norms.entries()) {
      const cell = at % sums.length;
      sums[cell] = (sums[cell] ?? 0) + norm;
    }
  }

  /** The same number of tokens has gone into every sum: shares of sums are shares of means. */
  map(): RouteMap {
    return routeMap(this.shape, (layer, head, buffer) => {
      const sums = this.sums.get(layer);
      return sums ? (sums[head * (layer + 1) + buffer] ?? 0) : 1;
    });
  }
}
