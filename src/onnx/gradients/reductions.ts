import type { Value } from '../graph.ts';
import type { Algebra } from './algebra.ts';
import type { OpNode, RuleTable } from './rule.ts';

/** `value`, of the shape that a reduction of `node.a` gave, with its axes back at length 1. */
function withAxes(math: Algebra, node: OpNode, value: Value): Value {
  const axes = node.optionalInput(1);
  // Without axes the result is one number, which broadcasts as it is.
  if (node.int('keepdims', 1) === 1 || !axes) return value;
  return math.op('Unsqueeze', [value, axes]);
}

function expanded(math: Algebra, node: OpNode, value: Value): Value {
  return math.op('Expand', [withAxes(math, node, value), math.shape(node.a)]);
}

/** Ops that reduce along axes, or normalise along one. */
export const reductionRules: RuleTable = {
  ReduceSum: (math, node, d) => [() => expanded(math, node, d)],
  ReduceMean: (math, node, d) => [
    () => {
      const count = math.divide(math.op('Size', [node.a]), math.op('Size', [node.y]));
      return expanded(math, node, math.divide(d, math.op('CastLike', [count, d])));
    },
  ],
  // Equal largest elements share alike.
  ReduceMax: (math, node, d) => [
    () => {
      const largest = math.op('Equal', [node.a, withAxes(math, node, node.y)]);
      const ones = math.op('CastLike', [largest, d]);
      const count = math.op('ReduceSum', [ones, node.optionalInput(1)]);
      return math.multiply(ones, math.divide(withAxes(math, node, d), count));
    },
  ],
  // exp(a - y) is the softmax.
  ReduceLogSumExp: (math, node, d) => [
    () => {
      const exponent = math.subtract(node.a, withAxes(math, node, node.y));
      return math.multiply(math.op('Exp', [exponent]), withAxes(math, node, d));
    },
  ],
  // y (d - sum(d y))
  Softmax: (math, node, d) => [
    () => {
      const weighted = math.multiply(d, node.y);
      const sum = math.sumAlong(weighted, node.int('axis', -1));
      return math.subtract(weighted, math.multiply(node.y, sum));
    },
  ],
  // d - exp(y) sum(d)
  LogSoftmax: (math, node, d) => [
    () => {
      const sum = math.sumAlong(d, node.int('axis', -1));
      return math.subtract(d, math.multiply(math.op('Exp', [node.y]), sum));
    },
  ],
  /**
   * y = n gain, n = a r, r = 1 / sqrt(mean(a^2) + epsilon). With e = d gain: by a it is r (e - n mean(e n)). r is found
   * again instead of taken from the op: one pass over a, against a second output in every forward run.
   */
  SimplifiedLayerNormalization: (math, node, d) => {
    if (node.int('axis', -1) !== -1) node.refuse('normalises another axis than the last');
    const { a, b: gain } = node;
    const mean = (of: Value) => math.op('ReduceMean', [of, math.integers(-1)]);
    const epsilon = math.number(node.float('epsilon', 1e-5), a);
    const variance = math.add(mean(math.multiply(a, a)), epsilon);
    const scale = math.op('Reciprocal', [math.op('Sqrt', [variance])]);
    const normal = math.multiply(a, scale);
    return [
      () => {
        const e = math.multiply(d, gain);
        const along = math.multiply(normal, mean(math.multiply(e, normal)));
        return math.multiply(scale, math.subtract(e, along));
      },
      () => math.sumTo(math.multiply(d, normal), gain),
    ];
  },
};
