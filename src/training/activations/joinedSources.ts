import type { ActivationSource } from './activations.ts';

/** The windows of one source, and then those of another from its window `from` on. */
export function joinedSources(
  one: ActivationSource,
  other: ActivationSource,
  from = 0,
): ActivationSource {
  const { width, windowLength, windows: own } = one;
  return {
    width,
    windowLength,
    windows: own + other.windows - from,
    async read(first, count, signal) {
      const ofOne = Math.max(0, Math.min(count, own - first));
      const windows = ofOne > 0 ? await one.read(first, ofOne, signal) : [];
      if (ofOne === count) return windows;
      const start = from + Math.max(0, first - own);
      return [...windows, ...(await other.read(start, count - ofOne, signal))];
    },
  };
}
