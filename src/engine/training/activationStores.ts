import { Failure } from '../../common/failure.ts';
import {
  ActivationStore,
  type StoreDescription,
} from '../../training/activations/activationStore.ts';

/** The store in `folder` if it is of this text and model, or a new one. */
export async function openStore(
  folder: string,
  description: StoreDescription,
  tokenIds: Uint32Array,
): Promise<ActivationStore> {
  const store = await ActivationStore.open(folder).catch((error: unknown) => {
    if (Failure.is(error, 'not-found')) return undefined;
    throw error;
  });
  if (!store) return ActivationStore.create(folder, description, tokenIds);
  try {
    refuseOther(store, description);
    const windows = Math.min(
      await store.plannedWindows(),
      tokenIds.length / description.windowLength,
    );
    const kept = await store.readTokens(0, windows);
    if (
      tokenIds.length > (await store.plannedWindows()) * description.windowLength ||
      kept.some((id, i) => id !== tokenIds[i])
    ) {
      throw new Failure('mismatch', `${folder} holds activations of another text.`, {
        action: 'Give the same text and number of tokens, or another folder for activations.',
      });
    }
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Throws `mismatch` where the store holds activations of something else. */
export function refuseOther(store: ActivationStore, asked: StoreDescription): void {
  const kept = store.description;
  const differences = [
    kept.hook !== asked.hook && `of ${kept.hook}, not ${asked.hook}`,
    kept.model.hash !== asked.model.hash && `of another model, ${kept.model.name}`,
    kept.width !== asked.width && `${kept.width} wide, not ${asked.width}`,
    kept.windowLength !== asked.windowLength &&
      `in windows of ${kept.windowLength} tokens, not ${asked.windowLength}`,
    (kept.base?.hash !== asked.base?.hash || kept.base?.k !== asked.base?.k) &&
      'whose targets are of another base',
  ].filter(difference => difference !== false);
  if (differences.length === 0) return;
  throw new Failure('mismatch', `${store.folder} holds activations ${differences.join(', ')}.`, {
    action: 'Give another folder for activations.',
  });
}
