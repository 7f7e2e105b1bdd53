/** One layer's keys or values (1, KV, capacity, paddedWidth); only the first `length` positions of a cache count. */
export interface CachedTensor {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** The keys and values that a model computed for a run of tokens; prefixes share the memory. */
export class KeyValueCache {
  /** Number of tokens. */
  readonly length: number;
  /** By the name under which a session gives them. */
  readonly tensors: ReadonlyMap<string, CachedTensor>;

  constructor(length: number, tensors: ReadonlyMap<string, CachedTensor>) {
    this.length = length;
    this.tensors = tensors;
  }

  /** The cache of the first `n` tokens. */
  prefix(n: number): KeyValueCache {
    return new KeyValueCache(Math.max(0, Math.min(n, this.length)), this.tensors);
  }

  get byteLength(): number {
    let bytes = 0;
    for (const { data } of this.tensors.values()) bytes += data.byteLength;
    return bytes;
  }
}
