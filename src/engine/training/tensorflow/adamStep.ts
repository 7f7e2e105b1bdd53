import type { StepOptions } from '../../../training/backend.ts';
import type { Changes } from './changes.ts';
import type { DeviceParameter } from './deviceArrays.ts';
import type { Tensor, Tensorflow } from './tensorflow.ts';

type AdamOptions = Pick<
  StepOptions,
  'step' | 'learningRate' | 'weightDecay' | 'beta1' | 'beta2' | 'epsilon'
>;

/** One AdamW step (Loshchilov and Hutter, arXiv 1711.05101) on the device; `gradient` has the parameter's shape. */
export function adamStep(
  tf: Tensorflow,
  changes: Changes,
  parameter: DeviceParameter,
  gradient: Tensor,
  o: AdamOptions,
): void {
  const { value, firstMoment, secondMoment } = parameter;
  const first = towards(tf, firstMoment, gradient, o.beta1);
  const second = towards(tf, secondMoment, tf.square(gradient), o.beta2);
  // The bias corrections are folded into the rate and epsilon: m / c1 / (sqrt(s / c2) + eps).
  const correction = Math.sqrt(1 - o.beta2 ** o.step);
  const rate = (o.learningRate * correction) / (1 - o.beta1 ** o.step);
  const root = tf.add(tf.sqrt(second), o.epsilon * correction);
  const move = tf.div(tf.mul(first, rate), root);
  changes.set(firstMoment, first);
  changes.set(secondMoment, second);
  changes.set(value, tf.sub(tf.mul(changes.of(value), 1 - o.learningRate * o.weightDecay), move));
}

/** beta m + (1 - beta) g, as a move of m towards g. */
function towards(tf: Tensorflow, moment: Tensor, to: Tensor, beta: number): Tensor {
  return tf.add(moment, tf.mul(tf.sub(to, moment), 1 - beta));
}
