import type { Value } from '../graph.ts';
import type { Algebra } from './algebra.ts';
import type { RuleTable } from './rule.ts';

/** a b over the last two axes, either of them transposed; written without knowing the rank. */
function product(math: Algebra, a: Value, b: Value, transposed: 'first' | 'second'): Value {
  const attributes = transposed === 'first' ? { transA: 1n } : { transB: 1n };
  return math.op('FusedMatMul', [a, b], attributes, 'com.microsoft');
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
