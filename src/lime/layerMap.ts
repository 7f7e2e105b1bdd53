import type { RouteMap } from '../contracts/layerMap.ts';
import { initialBound } from '../models/lime.ts';
import type { ModelConfig } from '../models/model.ts';
import type { Routers } from './fittedRouters.ts';

/*
 * Which layers each head reads, as shares of a row that sums to 1. Source: Gerasimov et al. 2025, arXiv 2502.09245 v2:
 * `map` is figure 5, `perHead` figure 9. The first layer has no router and reads itself.
 */

export type MapShape = Pick<ModelConfig, 'layers' | 'keyValueHeads'>;

/** By |R|: of a layer's router, the mean over the heads that are read, and for `map` over those that read. */
export function routerMap(routers: Routers, shape: MapShape): RouteMap {
  return routeMap(shape, (layer, head, buffer) => {
    const router = routers.get(layer);
    if (!router) return layer === buffer ? 1 : 0;
    const { keyValueHeads } = shape;
    const first = (head * (layer + 1) + buffer) * keyValueHeads;
    const sources = router.subarray(first, first + keyValueHeads);
    return sources.reduce((sum, value) => sum + Math.abs(value), 0) / keyValueHeads;
  });
}

/** Of a model without routers. */
export function identityMap(shape: MapShape): RouteMap {
  return routerMap(new Map(), shape);
}

/**
 * Shares of the expected |R| where a training begins: the layer's own heads are passed on, and all other numbers are
 * uniform in [-b, b], whose mean magnitude is b / 2 (`initialRouter`). The layer's own buffer so has 1 / KV: this is no
 * diagonal.
 */
export function expectedInitialMap(shape: MapShape): RouteMap {
  const { keyValueHeads } = shape;
  return routeMap(shape, (layer, _head, buffer) =>
    layer === buffer ? 1 / keyValueHeads : initialBound(layer, keyValueHeads) / 2,
  );
}

/** The shares of numbers that are not negative, by layer, head and buffer; a row of zeros stays one. */
export function routeMap(
  { layers, keyValueHeads }: MapShape,
  size: (layer: number, head: number, buffer: number) => number,
): RouteMap {
  const map = new Float32Array(layers * layers); // (L, L)
  const perHead = new Float32Array(layers * keyValueHeads * layers); // (L, KV, L)
  for (let layer = 0; layer < layers; layer++) {
    const sums = new Float64Array(layer + 1);
    for (let head = 0; head < keyValueHeads; head++) {
      const sizes = sums.map((_, buffer) => size(layer, head, buffer));
      for (const [buffer, value] of sizes.entries()) sums[buffer] = (sums[buffer] ?? 0) + value;
      perHead.set(shares(sizes), (layer * keyValueHeads + head) * layers);
    }
    map.set(shares(sums), layer * layers);
  }
  return { map, perHead };
}

function shares(sizes: Float64Array): Float64Array {
  const sum = sizes.reduce((total, size) => total + size, 0);
  return sum > 0 ? sizes.map(size => size / sum) : sizes;
}
