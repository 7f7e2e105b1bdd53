import type { Value } from '../graph.ts';
import type { Algebra } from './algebra.ts';
import { groupQueryAttention } from './attention.ts';
import type { OpNode } from './rule.ts';

/** Fused ops that are written out in ops with rules where a gradient passes through them; their first output. */
export const lowerings: Readonly<Partial<Record<string, (math: Algebra, node: OpNode) => Value>>> =
  { GroupQueryAttention: groupQueryAttention };
