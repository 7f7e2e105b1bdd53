import { throwIfCancelled } from '../../common/cancelled.ts';
import type { ActivationSource, ActivationWindow } from '../../training/activations/activations.ts';
import type { SaeRunner } from '../saes/saeRunner.ts';

/** What of the base a residual SAE's target is made of. */
export type BaseRunner = Pick<SaeRunner, 'encode' | 'reconstruct'>;

/**
 * Activations x with the base's error e = x - xhat as their target: a residual SAE reads x and reconstructs e (SAE
 * Boost, arXiv 2507.12990, section 3.1). Both are float32; xhat is summed in float64.
 */
export class ResidualActivations implements ActivationSource {
  readonly width: number;
  readonly windowLength: number;
  private readonly source: ActivationSource;
  private readonly base: BaseRunner;
  private readonly k: number;

  /** `k`: features of the base kept per token. */
  constructor(source: ActivationSource, base: BaseRunner, k: number) {
    this.source = source;
    this.base = base;
    this.k = k;
    this.width = source.width;
    this.windowLength = source.windowLength;
  }

  get windows(): number {
    return this.source.windows;
  }

  async refresh(): Promise<void> {
    await this.source.refresh?.();
  }

  async read(first: number, count: number, signal?: AbortSignal): Promise<ActivationWindow[]> {
    const windows: ActivationWindow[] = [];
    for (const window of await this.source.read(first, count, signal)) {
      throwIfCancelled(signal);
      const target = await this.errorOf(window.activations);
      windows.push({ ...window, target });
    }
    return windows;
  }

  private async errorOf(x: Float32Array): Promise<Float32Array> {
    const xhat = this.base.reconstruct(await this.base.encode(x), this.k); // (T, D)
    return x.map((value, i) => value - (xhat[i] ?? NaN));
  }
}
