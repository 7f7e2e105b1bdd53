import { forEachEntry } from './arms.ts';
import { valuesOf, type Parameter } from './parameters.ts';

/**
 * The paper's Fig. 5: of each layer's reading, the share of each buffer, by the mean of |R| over heads and source heads:
 * (L, L), rows sum to 1. The first layer has no router: it reads its own. Empty for a Llama.
 */
export function absoluteMap(weights: Float32Array, parameters: readonly Parameter[]): number[] {
  const routers = parameters.filter(({ kind }) => kind === 'router');
  if (routers.length === 0) return [];
  const layers = routers.length + 1;
  const map = Array.from({ length: layers * layers }, () => 0);
  map[0] = 1;
  for (const parameter of routers) {
    const router = valuesOf(weights, parameter);
    const row = parameter.layer * layers;
    const total = router.reduce((sum, value) => sum + Math.abs(value), 0);
    forEachEntry(parameter, (at, _, buffer) => {
      map[row + buffer] = (map[row + buffer] ?? NaN) + Math.abs(router[at] ?? NaN) / total;
    });
  }
  return map;
}
