import type { Value } from '../graph.ts';
import type { Algebra } from './algebra.ts';
import type { RuleTable } from './rule.ts';

/**
 * a b over the last two axes, either of them transposed. Where the rank is known, in ops that every device has, which
 * onnxruntime makes one of on the CPU; else in that one, which needs no rank.
 */
function product(math: Algebra, a: Value, b: Value, transposed: 'first' | 'second'): Value {
  const turned = swapped(math, transposed === 'first' ? a : b);
  if (turned) return math.op('MatMul', transposed === 'first' ? [turned, b] : [a, turned]);
  const attributes = transposed === 'first' ? { transA: 1n } : { transB: 1n };
  return math.op('FusedMatMul', [a, b], attributes, 'com.microsoft');
}

/** `a` with its last two axes exchanged; undefined where its rank is not known. */
function swapped(math: Algebra, a: Value): Value | undefined {
  const rank = math.knownShape(a)?.length;
  if (rank === undefined || rank < 2) return undefined;
  const order = Array.from({ length: rank - 2 }, (_, axis) => BigInt(axis));
  return math.op('Transpose', [a], { perm: [...order, BigInt(rank - 1), BigInt(rank - 2)] });
}

/** Matrix products. */
export const productRules: RuleTable = {
  // y = a b: d b^T and a^T d, summed over the batch dimensions that were repeated.
  MatMul: (math, { a, b }, d) => [
    () => math.sumTo(product(math, d, b, 'second'), a),
    () => math.sumTo(product(math, a, d, 'first'), b),
  ],
  // y = alpha a' b' + beta c, where ' transposes or not.
  Gemm: (math, node, d) => {
    const { a, b } = node;
    const [transA, transB] = [node.int('transA', 0) === 1, node.int('transB', 0) === 1];
    const [alpha, beta] = [node.float('alpha', 1), node.float('beta', 1)];
    const gemm = (x: Value, y: Value, transX: boolean, transY: boolean) =>
      math.op('Gemm', [x, y], {
        transA: transX ? 1n : 0n,
        transB: transY ? 1n : 0n,
        alpha: { float: alpha },
      });
    return [
      () => (transA ? gemm(b, d, transB, true) : gemm(d, b, false, !transB)),
      () => (transB ? gemm(d, a, true, transA) : gemm(a, d, !transA, false)),
      () => {
        const scaled = beta === 1 ? d : math.multiply(d, math.number(beta, d));
        return math.sumTo(scaled, node.input(2));
      },
    ];
  },
};
