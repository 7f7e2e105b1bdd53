import type { ActivationSource, ActivationWindow } from './activations.ts';

/** The first windows of a source. */
export class FirstWindows implements ActivationSource {
  readonly width: number;
  readonly windowLength: number;
  readonly windows: number;
  private readonly source: ActivationSource;

  constructor(source: ActivationSource, windows: number) {
    this.source = source;
    this.width = source.width;
    this.windowLength = source.windowLength;
    this.windows = windows;
  }

  read(first: number, count: number, signal?: AbortSignal): Promise<readonly ActivationWindow[]> {
    return this.source.read(first, count, signal);
  }
}
