import type { ActivationSource } from './activations.ts';

/** The first windows of a source that may have more, or grow. */
export function firstWindows(source: ActivationSource, count: number): ActivationSource {
  const { width, windowLength } = source;
  return {
    width,
    windowLength,
    windows: Math.min(count, source.windows),
    read: (first, n, signal) => source.read(first, n, signal),
  };
}
