import type { Encoding } from './reconstruct.ts';

/** Where in a corpus every feature fired: one run of entries per feature, in ascending position. */
export interface FeatureIndex {
  /** The entries of feature f are [starts[f], starts[f + 1]), (F + 1). */
  readonly starts: Uint32Array;
  /** Token numbers in the corpus. */
  readonly positions: Uint32Array;
  readonly activations: Float32Array;
}

/** Where one feature fired, in ascending position. */
export interface Firings {
  readonly positions: Uint32Array;
  readonly activations: Float32Array;
}

export function firingsOf(
  { starts, positions, activations }: FeatureIndex,
  feature: number,
): Firings {
  const [from, to] = [starts[feature] ?? 0, starts[feature + 1] ?? 0];
  return { positions: positions.subarray(from, to), activations: activations.subarray(from, to) };
}

interface Part {
  readonly features: Uint32Array;
  readonly positions: Uint32Array;
  readonly activations: Float32Array;
}

/** Collects encodings in corpus order and sorts them by feature at the end; 24 bytes per entry at its peak. */
export class FeatureIndexBuilder {
  private readonly parts: Part[] = [];
  private readonly counts: Uint32Array; // (F)

  constructor(width: number) {
    this.counts = new Uint32Array(width);
  }

  /** Adds the tokens from `firstPosition` on, but not the excluded ones (T). */
  add({ k, features, activations }: Encoding, excluded: Uint8Array, firstPosition: number): void {
    const part = {
      features: new Uint32Array(activations.length),
      positions: new Uint32Array(activations.length),
      activations: new Float32Array(activations.length),
    };
    let entries = 0;
    for (let i = 0; i < activations.length; i++) {
      const token = Math.floor(i / k);
      const activation = activations[i] ?? 0;
      if (activation === 0 || excluded[token]) continue;
      const feature = features[i] ?? 0;
      part.features[entries] = feature;
      part.positions[entries] = firstPosition + token;
      part.activations[entries] = activation;
      this.counts[feature] = (this.counts[feature] ?? 0) + 1;
      entries++;
    }
    this.parts.push({
      features: part.features.slice(0, entries),
      positions: part.positions.slice(0, entries),
      activations: part.activations.slice(0, entries),
    });
  }

  /** The index; the builder is empty afterwards. */
  finish(): FeatureIndex {
    const starts = new Uint32Array(this.counts.length + 1);
    this.counts.forEach((count, feature) => {
      starts[feature + 1] = (starts[feature] ?? 0) + count;
    });
    const next = starts.slice();
    const entries = starts.at(-1) ?? 0;
    const positions = new Uint32Array(entries);
    const activations = new Float32Array(entries);
    for (const part of this.parts) {
      part.features.forEach((feature, i) => {
        const at = next[feature] ?? 0;
        positions[at] = part.positions[i] ?? 0;
        activations[at] = part.activations[i] ?? 0;
        next[feature] = at + 1;
      });
    }
    this.parts.length = 0;
    this.counts.fill(0);
    return { starts, positions, activations };
  }
}
