import type { Value } from '../graph.ts';
import type { Algebra } from './algebra.ts';
import type { OpNode } from './rule.ts';

/** What a score becomes where a token would look ahead: its softmax is 0 in float32 and float64. */
const masked = -1e30;

/**
 * GroupQueryAttention without a past, in ops that have rules: query (B, T, H * headWidth), key and value (B, T, G *
 * headWidth) for G groups, cosines and sines (R, headWidth / 2) to (B, T, H * headWidth). The heads of a group stand
 * side by side along the tokens, so that keys and values are never repeated.
 * Source: Ainslie et al. 2023, arXiv 2305.13245; rotation: Su et al. 2021, arXiv 2104.09864, equation 34.
 */
export function groupQueryAttention(math: Algebra, node: OpNode): Value {
  refuseVariants(node);
  const [heads, groups] = [node.int('num_heads', 0), node.int('kv_num_heads', 0)];
  const query = node.input(0);
  const tables = node.int('do_rotary', 0) ? ([node.input(7), node.input(8)] as const) : undefined;
  const q = attentionHeads(math, query, heads, tables);
  const k = attentionHeads(math, node.input(1), groups, tables);
  const v = attentionHeads(math, node.input(2), groups);
  const weights = attentionWeights(math, [q, k], { heads, groups, scale: node.float('scale', 0) });
  const mixed = math.reshape(math.op('MatMul', [weights, v]), math.shape(q)); // (B, H, T, headWidth)
  const together = math.op('Transpose', [mixed], { perm: [0n, 2n, 1n, 3n] }); // (B, T, H, headWidth)
  return math.reshape(together, math.shape(query)); // (B, T, H * headWidth)
}

/** x (B, T, count * headWidth) by heads, turned where there are tables of cosines and sines: (B, count, T, headWidth). */
export function attentionHeads(
  math: Algebra,
  x: Value,
  count: number,
  tables?: readonly [Value, Value],
): Value {
  const apart = math.reshape(x, math.integers(0, 0, count, -1)); // (B, T, count, headWidth)
  const heads = math.op('Transpose', [apart], { perm: [0n, 2n, 1n, 3n] });
  return tables ? rotate(math, heads, tables, math.shape(x, 1, 2)) : heads;
}

/**
 * What each token's heads look at, softmax(scale q k^T) over the tokens up to it: for q (B, H, T, headWidth) and k (B, G,
 * T, headWidth), the heads of a group side by side, (B, G, H / G * T, T).
 */
export function attentionWeights(
  math: Algebra,
  [q, k]: readonly [Value, Value],
  of: { readonly heads: number; readonly groups: number; readonly scale: number },
): Value {
  const grouped = math.op('Reshape', [q, gridShape(math, q, of.groups)]); // (B, G, H / G * T, headWidth)
  const turned = math.op('Transpose', [k], { perm: [0n, 1n, 3n, 2n] });
  const scores = math.multiply(math.op('MatMul', [grouped, turned]), math.number(of.scale, q)); // (B, G, H / G * T, T)
  const mask = causalMask(math, math.shape(q, 2, 3), of.heads / of.groups, scores);
  const visible = math.add(scores, mask);
  math.assumeShape(visible, scores);
  return math.op('Softmax', [visible]);
}

function refuseVariants(node: OpNode): void {
  if (node.optionalInput(3) ?? node.optionalInput(4)) node.refuse('reads a past');
  if (node.int('rotary_interleaved', 0)) node.refuse('rotates neighbouring elements');
  if (node.int('local_window_size', -1) !== -1) node.refuse('has a window');
  if (node.int('smooth_softmax', 0)) node.refuse('has a smooth softmax');
  if (node.float('softcap', 0)) node.refuse('caps its scores');
  if (!node.float('scale', 0)) node.refuse('names no scale');
  if (!node.optionalInput(2)) node.refuse('packs query, key and value');
}

/** int64 (4): the shape (B, G, -1, headWidth). */
function gridShape(math: Algebra, q: Value, groups: number): Value {
  return math.op('Concat', [math.integers(0, groups, -1), math.shape(q, 3)], { axis: 0n });
}

/** Each pair (x[i], x[i + headWidth / 2]) turned by the angle of its token, x (B, heads, T, headWidth). */
function rotate(math: Algebra, x: Value, tables: readonly [Value, Value], tokens: Value): Value {
  const rows = (table: Value) => {
    const sliced = math.op('Slice', [table, math.integers(0), tokens, math.integers(0)]);
    // As a Reshape, so that the shape is known to be that of the tokens.
    const shape = math.op('Concat', [tokens, math.shape(table, 1)], { axis: 0n });
    return math.reshape(sliced, shape); // (T, headWidth / 2)
  };
  const [cosines, sines] = [rows(tables[0]), rows(tables[1])];
  const [first, second] = math.graph.ops(2, 'Split', [x], { axis: 3n, num_outputs: 2n });
  const turned = [
    math.subtract(math.multiply(first, cosines), math.multiply(second, sines)),
    math.add(math.multiply(second, cosines), math.multiply(first, sines)),
  ];
  return math.op('Concat', turned, { axis: 3n });
}

/** 0 where the token of a row may look, else a large negative number: (repeats * T, T). */
function causalMask(math: Algebra, tokens: Value, repeats: number, like: Value): Value {
  const count = math.op('Squeeze', [tokens]);
  const places = math.op('Range', [math.graph.int64([0], []), count, math.graph.int64([1], [])]); // (T)
  const rows = math.op('Tile', [places, math.integers(repeats)]); // (repeats * T)
  const behind = math.op('GreaterOrEqual', [
    math.op('Unsqueeze', [rows, math.integers(1)]),
    math.op('Unsqueeze', [places, math.integers(0)]),
  ]);
  return math.op('Where', [behind, math.number(0, like), math.number(masked, like)]);
}
