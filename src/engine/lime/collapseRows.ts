import { Failure } from '../../common/failure.ts';
import { type CollapsePlace, collapsePlaces } from '../../contracts/collapse.ts';
import type { Hook } from '../../contracts/hooks.ts';
import { hookWidth } from '../../models/hooks.ts';
import type { ModelConfig } from '../../models/model.ts';
import type { ModelRunner } from '../model/modelRunner.ts';

/** What of a model the collapse analyses use. */
export type MeasuredModel = Pick<ModelRunner, 'run' | 'config' | 'info' | 'tokenizer'>;

/** One place of one layer. */
export interface LayerPlace {
  readonly layer: number;
  readonly place: CollapsePlace;
  readonly hook: Hook;
  readonly width: number;
}

/** Every measured place of a model, layer by layer. */
export function layerPlaces(config: ModelConfig): LayerPlace[] {
  return Array.from({ length: config.layers }, (_, layer) =>
    collapsePlaces.map(place => {
      const hook: Hook =
        place === 'values' ? `blocks.${layer}.attn.hook_v` : `blocks.${layer}.hook_resid_post`;
      return { layer, place, hook, width: hookWidth(hook, config) };
    }),
  ).flat();
}

/** The rows of one window at every place, (T, width) each, in the order of the places. */
export async function windowRows(
  model: MeasuredModel,
  places: readonly LayerPlace[],
  tokenIds: Uint32Array,
  signal: AbortSignal | undefined,
): Promise<readonly Float32Array[]> {
  const hooks = places.map(({ hook }) => hook);
  const run = await model.run({ tokenIds, hooks, head: 'none', ...(signal && { signal }) });
  return hooks.map(hook => {
    const rows = run.hooks.get(hook);
    if (rows) return rows;
    throw new Failure('internal', `The model gave no ${hook}.`);
  });
}
