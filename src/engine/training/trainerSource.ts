import { throwIfCancelled } from '../../common/cancelled.ts';
import { Failure } from '../../common/failure.ts';
import type { Gate } from '../../common/gate.ts';
import type { Hook } from '../../contracts/hooks.ts';
import type { ActivationSource, ActivationWindow } from '../../training/activations/activations.ts';
import type { ActivationStore } from '../../training/activations/activationStore.ts';
import type { ModelRunner } from '../model/modelRunner.ts';

/** What of a model training uses. */
export type HarvestedModel = Pick<ModelRunner, 'run'>;

/** Activations computed by the model whenever they are read. */
export class ModelActivations implements ActivationSource {
  readonly width: number;
  readonly windowLength: number;
  readonly windows: number;
  private readonly model: HarvestedModel;
  private readonly hook: Hook;
  private readonly tokenIds: Uint32Array;

  /** `tokenIds`: whole windows, one after the other. */
  constructor(
    model: HarvestedModel,
    options: {
      readonly hook: Hook;
      readonly width: number;
      readonly windowLength: number;
      readonly tokenIds: Uint32Array;
    },
  ) {
    this.model = model;
    this.hook = options.hook;
    this.width = options.width;
    this.windowLength = options.windowLength;
    this.tokenIds = options.tokenIds;
    this.windows = Math.floor(options.tokenIds.length / options.windowLength);
  }

  async read(
    first: number,
    count: number,
    signal?: AbortSignal,
  ): Promise<readonly ActivationWindow[]> {
    const windows: ActivationWindow[] = [];
    for (let w = first; w < first + count; w++) {
      throwIfCancelled(signal);
      const tokenIds = this.tokenIds.subarray(w * this.windowLength, (w + 1) * this.windowLength);
      const result = await this.model.run({
        tokenIds,
        hooks: [this.hook],
        head: 'none',
        ...(signal && { signal }),
      });
      const activations = result.hooks.get(this.hook);
      if (!activations) throw new Failure('internal', `The model gave no ${this.hook}.`);
      windows.push({ tokenIds, activations });
    }
    return windows;
  }
}

/** Windows whose activations are written at once. */
const appendedWindows = 16;

/** Fills a store up to `windows` windows from where it stands; can be stopped and taken up again. */
export async function harvest(
  store: ActivationStore,
  source: ActivationSource,
  windows: number,
  options: {
    readonly signal?: AbortSignal;
    readonly gate?: Gate | undefined;
    report?(windowsDone: number): void;
  } = {},
): Promise<void> {
  const { signal } = options;
  while (store.windows < windows) {
    await options.gate?.pass(signal);
    const count = Math.min(appendedWindows, windows - store.windows);
    await store.append(await source.read(store.windows, count, signal));
    options.report?.(store.windows);
  }
}
