import type { Arithmetic } from '../../onnx/arithmetic.ts';
import type { Value } from '../../onnx/graph.ts';
import { kept } from '../batchTopK.ts';
import { followRate, gain, thresholdRate } from '../jumpRelu.ts';
import { adam, type AdamInputs, type Moved } from './adam.ts';
import type { Strongest } from './candidates.ts';

/** Above any activation. */
const highest = 1e30;

/**
 * BatchTopK: of the values (b, k) of the batch's parts the `count` largest fire, and those equal to the smallest of them.
 * Also the running mean of the smallest, which begins with the first.
 */
export function selectBatchTopK(
  a: Arithmetic,
  parts: readonly Value[],
  count: number,
  threshold: Value, // (1)
): { readonly fired: readonly Value[]; readonly threshold: Value } {
  const flat = parts.map(values => a.graph.op('Reshape', [values, a.graph.int64([-1])]));
  const all = a.graph.op('Concat', flat, { axis: 0n });
  const [largest] = a.graph.ops(2, 'TopK', [all, a.graph.int64([count])]);
  const cutoff = a.slice(largest, count - 1, count); // (1)
  const positive = a.op('Where', a.op('Greater', largest, 0), largest, highest);
  const least = a.reduce('ReduceMin', positive, 0, true); // (1)
  const smallest = a.op('Where', a.op('Less', least, highest), least, 0);
  const followed = a.add(a.mul(threshold, kept), a.mul(smallest, 1 - kept));
  return {
    fired: parts.map(h => a.op('Where', a.op('Less', h, cutoff), 0, h)),
    threshold: a.op('Where', a.op('Equal', threshold, 0), smallest, followed),
  };
}

/** JumpReLU of a part: what fires, and what of theta's gradient that part tells. */
export interface Jumped {
  readonly fired: Value; // (b, k)
  /** 1 where a candidate is within the bandwidth of its threshold. */
  readonly near: Value; // (b, k)
}

/** A candidate fires where it is above its feature's theta. */
export function selectJumpRelu(
  a: Arithmetic,
  { values, indices }: Strongest,
  logThreshold: Value, // (F)
  bandwidth: Value, // (1)
): Jumped {
  const theta = a.squeeze(a.op('Gather', a.op('Exp', logThreshold), indices), 2); // (b, k)
  const distance = a.op('Abs', a.sub(values, theta));
  const within = a.isAbove(a.mul(bandwidth, 0.5), distance);
  return {
    fired: a.op('Where', a.op('Greater', values, theta), values, 0),
    near: a.mul(within, a.isAbove(values, 0)),
  };
}

/** Of all parts: for each feature, how many candidates were near its theta and the sum of their slopes. */
export interface NearSums {
  readonly count: Value; // (F)
  readonly slope: Value; // (F)
}

export function addNear(
  a: Arithmetic,
  sums: NearSums,
  { near, indices, slopes }: { near: Value; indices: Value; slopes: Value },
): NearSums {
  return {
    count: a.scatterAdd(sums.count, indices, near),
    slope: a.scatterAdd(sums.slope, indices, a.mul(near, slopes)),
  };
}

export interface JumpReluUpdate {
  readonly logThreshold: AdamInputs;
  /** lambda's base, epsilon. */
  readonly scalars: Value; // (2)
  readonly sums: NearSums;
  /** Mean number of activations that fire. */
  readonly l0: Value; // (1)
  readonly k: number;
  readonly batch: number;
  readonly sparsityCoefficient: number | undefined;
}

/** As JumpRelu's `learn` (src/training/jumpRelu.ts), whose equations these are. */
export function updateJumpRelu(
  a: Arithmetic,
  u: JumpReluUpdate,
): { readonly moved: Moved; readonly scalars: Value; readonly penalty: Value } {
  const base = a.slice(u.scalars, 0, 1);
  const epsilon = a.slice(u.scalars, 1, 2);
  const share = a.div(u.l0, u.k); // (1)
  const coefficient =
    u.sparsityCoefficient === undefined
      ? a.mul(base, a.op('Pow', share, gain))
      : a.number(u.sparsityCoefficient);
  const theta = a.op('Exp', u.logThreshold.value); // (F)
  const slope = a.add(a.mul(theta, u.sums.slope), a.mul(u.sums.count, a.div(coefficient, u.batch)));
  const gradient = a.op('Neg', a.div(a.mul(theta, slope), epsilon)); // (F)
  const rate = a.mul(u.logThreshold.rate, thresholdRate);
  const off = a.op('Min', a.sub(share, 1), 1);
  const next = a.mul(base, a.op('Exp', a.mul(off, followRate)));
  return {
    moved: adam(a, { ...u.logThreshold, rate, keep: a.number(1) }, gradient),
    scalars: a.graph.op('Concat', [next, epsilon], { axis: 0n }),
    penalty: a.mul(coefficient, u.l0),
  };
}
