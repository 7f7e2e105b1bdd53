import type { Arithmetic } from '../../onnx/arithmetic.ts';
import type { Value } from '../../onnx/graph.ts';

/** A learned array before a step, and how the step goes. */
export interface AdamInputs {
  readonly value: Value;
  readonly firstMoment: Value;
  readonly secondMoment: Value;
  readonly beta1: number;
  readonly beta2: number;
  /** With Adam's corrections: learningRate sqrt(1 - beta2^t) / (1 - beta1^t), (1). */
  readonly rate: Value;
  /** epsilon sqrt(1 - beta2^t), (1). */
  readonly epsilon: Value;
  /** 1 - learningRate weightDecay, (1). */
  readonly keep: Value;
}

export interface Moved {
  readonly value: Value;
  readonly firstMoment: Value;
  readonly secondMoment: Value;
}

/** One AdamW step (arXiv 1711.05101). */
export function adam(a: Arithmetic, o: AdamInputs, gradient: Value): Moved {
  const towards = (moment: Value, to: Value, share: number): Value =>
    a.add(moment, a.mul(a.sub(to, moment), share));
  const firstMoment = towards(o.firstMoment, gradient, 1 - o.beta1);
  const secondMoment = towards(o.secondMoment, a.square(gradient), 1 - o.beta2);
  const move = a.div(firstMoment, a.add(a.op('Sqrt', secondMoment), o.epsilon));
  const value = a.sub(a.mul(o.value, o.keep), a.mul(move, o.rate));
  return { value, firstMoment, secondMoment };
}
