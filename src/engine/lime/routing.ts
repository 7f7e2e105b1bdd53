import type { LoadProgress, ModelRequest } from '../../contracts/engine.ts';
import type { LayerMap, RouteMap, RouterFit, RouterOrigin } from '../../contracts/layerMap.ts';
import { readFittedRouters, routerName, type Routers } from '../../lime/fittedRouters.ts';
import { expectedInitialMap, identityMap, routerMap } from '../../lime/layerMap.ts';
import { loadModel, type LoadedModel } from '../model/loadModel.ts';
import { readExternal } from '../sessions/externalData.ts';

/** A model, and which layers its heads read. */
export interface Routing {
  readonly model: LoadedModel;
  readonly origin: RouterOrigin;
  readonly fit: RouterFit | null;
  /** Empty for the identity. */
  readonly routers: Routers;
}

export async function readRouting(
  request: ModelRequest,
  options: { signal?: AbortSignal; report?(progress: LoadProgress): void } = {},
): Promise<Routing> {
  const fitted =
    request.routers === undefined ? undefined : await readFittedRouters(request.routers);
  const model = await loadModel({ ...request, device: 'cpu' }, options);
  const routers = new Map<number, Float32Array>();
  for (let layer = 1; layer < model.config.layers; layer++) {
    const at = model.weights.get(routerName(layer));
    if (at) routers.set(layer, await readExternal(at));
  }
  if (fitted) return { model, origin: 'fitted', fit: fitted.fit, routers };
  const origin = model.config.architecture === 'lime' ? 'trained' : 'identity';
  return { model, origin, fit: null, routers };
}

/** The maps of the routers alone. */
export function layerMapOf(routing: Routing): LayerMap {
  const { model, origin, fit, routers } = routing;
  const { config, info } = model;
  return {
    model: info.name,
    origin,
    fit,
    layers: config.layers,
    heads: config.keyValueHeads,
    queryHeads: config.heads,
    routers: routerMap(routers, config),
    initial: initialMapOf(routing),
  };
}

/** The map of the routers where their training began, by expectation where they were random. */
export function initialMapOf({ model, origin }: Routing): RouteMap {
  return origin === 'trained' ? expectedInitialMap(model.config) : identityMap(model.config);
}
