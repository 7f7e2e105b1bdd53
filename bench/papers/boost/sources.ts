import type {
  ActivationSource,
  ActivationWindow,
} from '../../../src/training/activations/activations.ts';

/** A source with targets, which computes the target of a window once. */
export class KeptTargets implements ActivationSource {
  readonly width: number;
  readonly windowLength: number;
  readonly windows: number;
  private readonly plain: ActivationSource;
  private readonly withTargets: ActivationSource;
  private readonly targets = new Map<number, Float32Array>(); // (T, D) by window

  /** The same windows, without targets and with. */
  constructor(plain: ActivationSource, withTargets: ActivationSource) {
    this.plain = plain;
    this.withTargets = withTargets;
    this.width = plain.width;
    this.windowLength = plain.windowLength;
    this.windows = plain.windows;
  }

  async read(first: number, count: number, signal?: AbortSignal): Promise<ActivationWindow[]> {
    const indices = Array.from({ length: count }, (_, i) => first + i);
    const known = indices.every(index => this.targets.has(index));
    const windows = await (known ? this.plain : this.withTargets).read(first, count, signal);
    return windows.map((window, i) => {
      const target = window.target ?? this.targets.get(first + i);
      if (!target) return window;
      this.targets.set(first + i, target);
      return { ...window, target };
    });
  }
}
