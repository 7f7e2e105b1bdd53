import { Failure } from '../../src/common/failure.ts';
import type { Hook } from '../../src/contracts/hooks.ts';
import type { ModelRunner } from '../../src/engine/model/modelRunner.ts';
import { harvest, ModelActivations } from '../../src/engine/training/trainerSource.ts';
import { ActivationStore } from '../../src/training/activations/activationStore.ts';
import { readCorpus } from '../../src/training/corpus/corpus.ts';
import { packTokens } from '../../src/training/corpus/packTokens.ts';

export interface StoreRequest {
  readonly folder: string;
  /** Files and folders of text that fill the store where it is not full yet. */
  readonly paths: readonly string[];
  readonly hook: Hook;
  readonly windowLength: number; // T
  /** How many tokens of the text are wanted; a shorter text gives what it has. */
  readonly tokens: number;
}

export interface StoreOptions {
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

/** The store of activations in a folder, filled up to the tokens that are wanted; the caller closes it. */
export async function filledStore(
  request: StoreRequest,
  model: ModelRunner,
  { signal, log }: StoreOptions,
): Promise<ActivationStore> {
  const { folder, hook, windowLength, tokens } = request;
  const store = (await openIfThere(folder)) ?? (await createStore(request, model, signal));
  try {
    const { description } = store;
    if (
      description.model.hash !== model.info.hash ||
      description.hook !== hook ||
      description.windowLength !== windowLength
    ) {
      throw new Failure(
        'mismatch',
        `${folder} holds activations of ${description.model.name} at ${description.hook} in windows of ${description.windowLength}, not of ${model.info.name} at ${hook} in windows of ${windowLength}.`,
      );
    }
    const windows = Math.min(Math.floor(tokens / windowLength), await store.plannedWindows());
    if (store.windows < windows) {
      const tokenIds = await store.readTokens(0, windows);
      const { width } = store;
      const source = new ModelActivations(model, { hook, width, windowLength, tokenIds });
      await harvest(store, source, windows, {
        signal,
        report: done => {
          if (done % 64 === 0 || done === windows)
            log(`activations of ${done} of ${windows} windows`);
        },
      });
    }
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function openIfThere(folder: string): Promise<ActivationStore | undefined> {
  return ActivationStore.open(folder).catch((error: unknown) => {
    if (Failure.is(error, 'not-found')) return undefined;
    throw error;
  });
}

async function createStore(
  { folder, paths, hook, windowLength, tokens }: StoreRequest,
  model: ModelRunner,
  signal: AbortSignal,
): Promise<ActivationStore> {
  if (paths.length === 0) {
    throw new Failure(
      'usage',
      `There are no activations in ${folder}, and no text to take them of.`,
    );
  }
  const tokenIds = await packTokens(readCorpus(paths, signal), model.tokenizer, {
    windowLength,
    limit: tokens,
    signal,
  });
  const { name, hash } = model.info;
  const description = { model: { name, hash }, hook, width: model.config.width, windowLength };
  return ActivationStore.create(folder, description, tokenIds);
}
