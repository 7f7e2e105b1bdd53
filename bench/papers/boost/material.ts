import { join } from 'node:path';
import { Failure } from '../../../src/common/failure.ts';
import type { FrozenBase } from '../../../src/engine/boost/frozenBase.ts';
import { ResidualActivations } from '../../../src/engine/boost/residualActivations.ts';
import type { ActivationSource } from '../../../src/training/activations/activations.ts';
import type { ActivationStore } from '../../../src/training/activations/activationStore.ts';
import { firstWindows } from '../../../src/training/activations/firstWindows.ts';
import { filledStore, type StoreOptions } from '../stores.ts';
import { KeptTargets } from './sources.ts';

/** A body of text as the experiment reads it. */
export interface Body {
  readonly name: string;
  /** Text to train on. */
  readonly train: ActivationSource;
  /** The same with the base's errors as targets. */
  readonly errors: ActivationSource;
  readonly heldOut: ActivationSource;
  readonly heldOutStore: ActivationStore;
}

/** `chemistry=train.jsonl,heldout.jsonl`, or the same without a name. */
export interface BodyPaths {
  readonly name: string;
  readonly train: string;
  readonly heldOut: string;
}

export function bodyPaths(option: string, name?: string): BodyPaths {
  const [left, right] = name === undefined ? option.split(/=(.*)/s) : [name, option];
  const [train, heldOut, ...more] = right?.split(',') ?? [];
  if (left && train && heldOut && more.length === 0) return { name: left, train, heldOut };
  throw new Failure(
    'usage',
    `Expected ${name === undefined ? 'NAME=' : ''}TRAIN,HELDOUT, two places of text; found ${option}.`,
  );
}

export interface BodyTokens {
  readonly train: number;
  readonly heldOut: number;
}

/** Opens, or fills, the activations of a body of text: the folders NAME.train and NAME.heldout. */
export async function openBody(
  frozen: FrozenBase,
  paths: BodyPaths,
  folder: string,
  tokens: BodyTokens,
  options: StoreOptions,
): Promise<Body> {
  const { model, runner, windowLength, k } = frozen;
  const open = (part: string, path: string, count: number): Promise<ActivationStore> =>
    filledStore(
      {
        folder: join(folder, `${paths.name}.${part}`),
        paths: [path],
        hook: runner.dictionary.hook,
        windowLength,
        tokens: count,
      },
      model,
      options,
    );
  const first = (store: ActivationStore, count: number): ActivationSource =>
    firstWindows(store, Math.floor(count / windowLength));
  const train = first(await open('train', paths.train, tokens.train), tokens.train);
  const heldOutStore = await open('heldout', paths.heldOut, tokens.heldOut);
  return {
    name: paths.name,
    train,
    errors: new KeptTargets(train, new ResidualActivations(train, runner, k)),
    heldOut: first(heldOutStore, tokens.heldOut),
    heldOutStore,
  };
}
