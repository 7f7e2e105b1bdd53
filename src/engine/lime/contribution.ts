import type { RouteMap } from '../../contracts/layerMap.ts';
import { MeanNorms } from '../../lime/meanNorms.ts';
import { pause } from '../pause.ts';
import { RouteRunner } from './routeRunner.ts';
import { initialMapOf, type Routing } from './routing.ts';

/** Shares of the mean |R V| over a text. */
export interface Contribution {
  readonly contribution: RouteMap;
  readonly initial: RouteMap;
  readonly tokens: number;
}

/** Runs whole windows, each by itself; a model without routers is not run. */
export async function measureContribution(
  routing: Routing,
  { tokenIds, windowLength }: { readonly tokenIds: Uint32Array; readonly windowLength: number },
  options: { readonly signal: AbortSignal; report(windows: number, of: number): void },
): Promise<Contribution> {
  const tokens = tokenIds.length;
  const { config } = routing.model;
  if (routing.routers.size === 0) {
    const map = initialMapOf(routing);
    return { contribution: map, initial: map, tokens };
  }
  const own = new MeanNorms(config);
  const drawn = new MeanNorms(config);
  const compare = routing.origin === 'trained';
  const runner = await RouteRunner.open(routing, { compare });
  try {
    for (let start = 0; start < tokens; start += windowLength) {
      await pause(options.signal);
      const norms = await runner.run(tokenIds.subarray(start, start + windowLength));
      for (const [layer, { memory }] of norms.own) own.add(layer, memory);
      for (const [layer, { memory }] of norms.initial ?? []) drawn.add(layer, memory);
      options.report(start / windowLength + 1, tokens / windowLength);
    }
  } finally {
    await runner.dispose();
  }
  const initial = compare ? drawn.map() : initialMapOf(routing);
  return { contribution: own.map(), initial, tokens };
}
