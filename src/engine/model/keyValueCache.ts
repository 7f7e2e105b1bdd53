import type { Tensor } from '../sessions/tensors.ts';

/** By the names under which a session gives them, where it left them: in memory or on a device. */
export type CachedTensors = ReadonlyMap<string, Tensor>; // (1, KV, capacity, paddedWidth) each

/**
 * The keys and values that a model computed for a run of tokens: only the first `length` positions count. Prefixes share the
 * tensors, and whoever keeps one holds it: what a device has of them goes when nobody does.
 */
export class KeyValueCache {
  /** Number of tokens. */
  readonly length: number;
  readonly tensors: CachedTensors;
  private readonly shared: { holders: number };

  /** Held once, by whoever makes it. */
  constructor(length: number, tensors: CachedTensors, shared = { holders: 1 }) {
    this.length = length;
    this.tensors = tensors;
    this.shared = shared;
  }

  /** The cache of the first `n` tokens, which counts as the same holder's. */
  prefix(n: number): KeyValueCache {
    return new KeyValueCache(Math.max(0, Math.min(n, this.length)), this.tensors, this.shared);
  }

  hold(): this {
    this.shared.holders++;
    return this;
  }

  letGo(): void {
    if (--this.shared.holders === 0) letGoOf(this.tensors.values());
  }

  /** Whether a device has some of it. */
  get isOnDevice(): boolean {
    return [...this.tensors.values()].some(({ location }) => location !== 'cpu');
  }

  /** Whether a session that gave some of the other has left its device since: nothing can be fed with that any more. */
  outlives(other: KeyValueCache): boolean {
    return [...this.tensors].some(
      ([name, { location }]) =>
        location === 'cpu' && (other.tensors.get(name)?.location ?? 'cpu') !== 'cpu',
    );
  }

  get byteLength(): number {
    let bytes = 0;
    for (const { size } of this.tensors.values()) bytes += 4 * size;
    return bytes;
  }
}

/** Of what lies in memory nobody need let go. */
export function letGoOf(tensors: Iterable<Tensor>): void {
  for (const tensor of tensors) {
    if (tensor.location !== 'cpu') tensor.dispose();
  }
}
