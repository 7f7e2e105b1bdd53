import type { ActivationSource, ActivationWindow } from './activations.ts';

/** Windows of which the first are kept in a store, as far as its budget goes; the others are computed whenever read. */
export class PartlyStored implements ActivationSource {
  readonly width: number;
  readonly windowLength: number;
  private readonly stored: ActivationSource;
  private readonly computed: ActivationSource;

  /** `stored`: the first windows of `computed`. */
  constructor(stored: ActivationSource, computed: ActivationSource) {
    this.stored = stored;
    this.computed = computed;
    this.width = computed.width;
    this.windowLength = computed.windowLength;
  }

  get windows(): number {
    return this.computed.windows;
  }

  async read(
    first: number,
    count: number,
    signal?: AbortSignal,
  ): Promise<readonly ActivationWindow[]> {
    const kept = Math.min(count, Math.max(0, this.stored.windows - first));
    const windows = kept > 0 ? await this.stored.read(first, kept, signal) : [];
    if (kept === count) return windows;
    return [...windows, ...(await this.computed.read(first + kept, count - kept, signal))];
  }
}
