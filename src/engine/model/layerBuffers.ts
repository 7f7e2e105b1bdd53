/**
 * LIMe: by layer, the keys, not rotated, and the values that it computed itself (T, KV, 2 headWidth); later layers route
 * them to their heads. Only of the tokens of one run: routers mix layers, not tokens.
 */
export type LayerBuffers = ReadonlyMap<number, Float32Array>;

/** The same layers' buffers for tokens `from` to `to` of `tokens`. */
export function bufferRows(
  buffers: LayerBuffers,
  tokens: number,
  [from, to]: readonly [from: number, to: number],
): LayerBuffers {
  return new Map(
    [...buffers].map(([layer, all]) => {
      const row = all.length / tokens;
      return [layer, all.subarray(from * row, to * row)];
    }),
  );
}
