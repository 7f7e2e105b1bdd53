import type { RuleTable } from './rule.ts';

/** Ops that work element by element; those of two inputs broadcast. */
export const elementwiseRules: RuleTable = {
  Identity: (_, _node, d) => [() => d],
  Cast: (math, { a }, d) => [() => math.op('CastLike', [d, a])],
  CastLike: (math, { a }, d) => [() => math.op('CastLike', [d, a]), undefined],
  Neg: (math, _, d) => [() => math.negative(d)],
  Exp: (math, { y }, d) => [() => math.multiply(d, y)],
  Log: (math, { a }, d) => [() => math.divide(d, a)],
  // 1 / (2 sqrt(a))
  Sqrt: (math, { y }, d) => [() => math.divide(d, math.add(y, y))],
  // -1 / a^2
  Reciprocal: (math, { y }, d) => [() => math.negative(math.multiply(d, math.multiply(y, y)))],
  // y (1 - y)
  Sigmoid: (math, { y }, d) => [
    () => math.multiply(d, math.multiply(y, math.subtract(math.number(1, y), y))),
  ],
  // 0 at 0
  Relu: (math, { a }, d) => {
    const zero = math.number(0, a);
    return [() => math.op('Where', [math.op('Greater', [a, zero]), d, zero])];
  },
  Add: (math, { a, b }, d) => [() => math.sumTo(d, a), () => math.sumTo(d, b)],
  Sub: (math, { a, b }, d) => [() => math.sumTo(d, a), () => math.sumTo(math.negative(d), b)],
  Mul: (math, { a, b }, d) => [
    () => math.sumTo(math.multiply(d, b), a),
    () => math.sumTo(math.multiply(d, a), b),
  ],
  // 1 / b, -a / b^2
  Div: (math, { a, b, y }, d) => [
    () => math.sumTo(math.divide(d, b), a),
    () => math.sumTo(math.negative(math.divide(math.multiply(d, y), b)), b),
  ],
  // b a^(b - 1), a^b log a
  Pow: (math, { a, b, y }, d) => [
    () => {
      const one = math.number(1, b);
      const slope = math.multiply(
        math.op('CastLike', [b, a]),
        math.op('Pow', [a, math.subtract(b, one)]),
      );
      return math.sumTo(math.multiply(d, slope), a);
    },
    () => {
      const slope = math.multiply(y, math.op('Log', [a]));
      return math.op('CastLike', [math.sumTo(math.multiply(d, slope), b), b]);
    },
  ],
  Where: (math, node, d) => {
    const zero = math.number(0, d);
    return [
      undefined,
      () => math.sumTo(math.op('Where', [node.a, d, zero]), node.input(1)),
      () => math.sumTo(math.op('Where', [node.a, zero, d]), node.input(2)),
    ];
  },
};
