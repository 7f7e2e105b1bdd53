import type { Hook } from '../contracts/hooks.ts';
import type { RouterSet } from './routeNorms.ts';

/** Names of the tensors that go into a session, besides the hooks' own. */
export const feeds = {
  /** Token ids, int64 (T). */
  ids: 'ids',
  /** In place of the ids: the residual stream where the graph begins (T, D). */
  residual: 'residual',
  /** What comes in the place of the hook that `GraphRequest.replaced` names (T, hookWidth). */
  replacement: 'replacement',
  /** Learned positions: the index of each token, int64 (T). */
  positions: 'positions',
  /** The index of each token, int32 (T, 1): where the attention is made of plain ops. */
  places: 'places',
  /** Index of the last token, int32 (1). */
  lastIndex: 'lastIndex',
  /** Number of tokens, those of the cache included, int32. */
  length: 'length',
  /** Number of the cache's tokens that count, its first, int64 (1): where the attention is made of plain ops. */
  pastLength: 'pastLength',
  /** The model's rotations of at least `length` positions, float32 (R, rotaryColumns). */
  cosines: (rotation: number) => (rotation === 0 ? 'cosines' : `cosines.${rotation}`),
  sines: (rotation: number) => (rotation === 0 ? 'sines' : `sines.${rotation}`),
  /** The token that follows each token, int64 (T, 1). */
  labels: 'labels',
  /** P, int64 (1). */
  predictions: 'predictions',
  /** (1, KV, P, paddedWidth); P may be more than the tokens that count. */
  pastKey: (layer: number) => `past.${layer}.key`,
  pastValue: (layer: number) => `past.${layer}.value`,
  /** LIMe: the buffer of a layer before the graph's first (T, KV, 2 headWidth). */
  buffer: (layer: number) => `before.${layer}.buffer`,
} as const;

/** Names of the tensors that come out of a session, besides the hooks' own. */
export const fetches = {
  /** A hook's rows, left on the device where it can keep outputs. */
  left: (hook: Hook) => `${hook}@device`,
  logits: 'logits',
  surprisal: 'surprisal',
  predictedIds: 'predictedIds',
  probabilities: 'probabilities',
  presentKey: (layer: number) => `present.${layer}.key`,
  presentValue: (layer: number) => `present.${layer}.value`,
  /** LIMe: the buffer of a layer of the graph (T, KV, 2 headWidth). */
  buffer: (layer: number) => `${layer}.buffer`,
  /** LIMe: |R_j V_j(t)| (T, KV, layer + 1), and |sum over s of A(t, s) R_j V_j(s)| (T, H, layer + 1). */
  memoryNorms: (layer: number, routers: RouterSet) => `${layer}.memory.${routers}`,
  outputNorms: (layer: number, routers: RouterSet) => `${layer}.output.${routers}`,
} as const;
