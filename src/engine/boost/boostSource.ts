import { join } from 'node:path';
import type { Gate } from '../../common/gate.ts';
import type {
  ActivationStore,
  StoreDescription,
} from '../../training/activations/activationStore.ts';
import type { ActivationSource, ActivationWindow } from '../../training/activations/activations.ts';
import { evenlySpread } from '../../training/activations/evenlySpread.ts';
import { joinedSources } from '../../training/activations/joinedSources.ts';
import { openStore } from '../training/activationStores.ts';
import type { FrozenBase } from './frozenBase.ts';
import { ResidualActivations } from './residualActivations.ts';
import { harvest, ModelActivations } from '../training/trainerSource.ts';

export interface HarvestOptions {
  readonly folder: string;
  /** Most bytes on disk. */
  readonly diskBytes: number;
  readonly windowLength: number;
  readonly signal: AbortSignal;
  readonly gate: Gate;
  report(windows: number, ofWindows: number): void;
}

/** Activations and base errors of windows of tokens, computed whenever they are read. */
export function computed(
  { model, runner, k }: FrozenBase,
  tokenIds: Uint32Array,
  windowLength: number,
): ActivationSource {
  const { hook, inputWidth: width } = runner.dictionary;
  const activations = new ModelActivations(model, { hook, width, windowLength, tokenIds });
  return new ResidualActivations(activations, runner, k);
}

/** The same, kept on disk as far as the budget goes; what is there already is not computed again. */
export async function stored(
  frozen: FrozenBase,
  tokenIds: Uint32Array,
  options: HarvestOptions,
): Promise<{ readonly source: ActivationSource; readonly store: ActivationStore }> {
  const { windowLength, diskBytes, signal, gate } = options;
  const { model, runner, base } = frozen;
  const { hook, inputWidth: width } = runner.dictionary;
  const source = computed(frozen, tokenIds, windowLength);
  const description: StoreDescription = {
    model: { name: model.info.name, hash: model.info.hash },
    hook,
    width,
    windowLength,
    base,
  };
  const store = await openStore(join(options.folder, 'activations'), description, tokenIds);
  try {
    const bytesPerWindow = 2 * 4 * width * windowLength; // activations and targets
    const kept = Math.min(source.windows, Math.floor(diskBytes / bytesPerWindow));
    options.report(Math.min(store.windows, kept), kept);
    await harvest(store, source, kept, {
      signal,
      gate,
      report: done => options.report(done, kept),
    });
    // Windows beyond the budget are computed whenever they are read.
    return { source: joinedSources(store, source, store.windows), store };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Windows in memory: `count` of them, evenly spread over the source. */
export async function sample(
  source: ActivationSource,
  count: number,
  signal: AbortSignal,
): Promise<{ readonly windows: readonly ActivationWindow[]; readonly indices: readonly number[] }> {
  const indices = evenlySpread(count, source.windows);
  const windows: ActivationWindow[] = [];
  for (const index of indices) windows.push(...(await source.read(index, 1, signal)));
  return { windows, indices };
}
