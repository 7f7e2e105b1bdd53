import type { Arithmetic } from '../../onnx/arithmetic.ts';
import type { Value } from '../../onnx/graph.ts';
import type { Budgets } from '../objective.ts';
import type { Strongest } from './candidates.ts';

export interface ReconstructionInputs {
  readonly fired: Strongest;
  readonly decoder: Value; // (F, D)
  /** What activations are to sum to, without the decoder's bias. */
  readonly target: Value; // (b, D)
  /** Of the gradients: 2/B, times what the reconstruction counts in the loss. */
  readonly scale: number;
}

/** What a reconstruction by prefixes gives. */
export interface Reconstruction {
  /** y - xhat_K */
  readonly error: Value; // (b, D)
  /** Summed over the samples: of every prefix by its weight, and of the last. */
  readonly loss: Value; // (1)
  readonly squaredError: Value; // (1)
  /** d loss / d activation, of those that do not fire too. */
  readonly slopes: Value; // (b, k)
  /** What each activation adds to the gradient of its decoder row. */
  readonly decoderRows: Value; // (b, k, D)
  /** Gradient of the decoder's bias. */
  readonly biasGradient: Value; // (D)
}

/** One prefix, all that fire: the slope of each activation is that of the one error. */
export function reconstructAll(a: Arithmetic, r: ReconstructionInputs): Reconstruction {
  const rows = decoderRowsOf(a, r); // (b, k, D)
  const sum = a.op('MatMul', a.unsqueeze(r.fired.values, 1), rows); // (b, 1, D)
  const error = a.sub(r.target, a.squeeze(sum, 1)); // (b, D)
  const slope = a.mul(error, -r.scale); // (b, D)
  const squaredError = a.total(a.square(error));
  return {
    ...{ error, squaredError, loss: squaredError },
    slopes: a.squeeze(a.op('MatMul', rows, a.unsqueeze(slope, 2)), 2), // (b, k)
    decoderRows: a.mul(a.unsqueeze(r.fired.values, 2), a.unsqueeze(slope, 1)),
    biasGradient: a.sum(slope, 0),
  };
}

/**
 * Every prefix (arXiv 2505.24473) at once, without prefix sums: with c_i = v_i d_i and u_i = sum of w_m, ends[m] > i,
 *   g_k = sum over m, ends[m] > k of w_m e_m = sum_i M_ki c_i - u_k y,  M_ki = u_max(k,i),
 *   loss = sum_m w_m |e_m|^2 = sum_i c_i . g_i - y . sum_i u_i c_i + |y|^2   (the weights sum to 1).
 */
export function reconstructPrefixes(
  a: Arithmetic,
  r: ReconstructionInputs,
  budgets: Budgets,
): Reconstruction {
  const k = budgets.ends.at(-1) ?? 0;
  const counted = Float32Array.from({ length: k }, (_, slot) => countOf(budgets, slot)); // u
  const scaled = counted.map(u => r.scale * u);
  const mixing = Float32Array.from(
    { length: k * k },
    (_, at) => scaled[Math.max(Math.floor(at / k), at % k)] ?? NaN,
  );
  const rows = decoderRowsOf(a, r); // (b, k, D)
  const values = a.unsqueeze(r.fired.values, 2); // (b, k, 1)
  const parts = a.mul(rows, values); // (b, k, D)
  const target = a.unsqueeze(r.target, 1); // (b, 1, D)
  const slope = a.sub(
    a.op('MatMul', a.graph.float32(mixing, [k, k]), parts),
    a.mul(target, a.graph.float32(scaled, [k, 1])),
  ); // (b, k, D)
  const slopes = a.sum(a.mul(slope, rows), 2); // (b, k)
  const error = a.sub(r.target, a.sum(parts, 1)); // (b, D)
  const sum = a.squeeze(a.op('MatMul', a.graph.float32(counted, [1, k]), parts), 1); // (b, D)
  const ofTarget = a.total(a.mul(r.target, a.sub(r.target, sum)));
  const ofParts = a.total(a.mul(slopes, r.fired.values));
  return {
    ...{ error, slopes },
    loss: a.add(ofTarget, a.div(ofParts, r.scale)),
    squaredError: a.total(a.square(error)),
    decoderRows: a.mul(values, slope),
    biasGradient: a.sum(a.squeeze(a.slice(slope, 0, 1, 1), 1), 0),
  };
}

/** Rows of the decoder, (b, k, D). */
function decoderRowsOf(a: Arithmetic, { decoder, fired }: ReconstructionInputs): Value {
  return a.squeeze(a.op('Gather', decoder, fired.indices), 2);
}

/** The summed weights of the prefixes that an activation's slot, counted from 0, is part of. */
function countOf({ ends, weights }: Budgets, slot: number): number {
  return ends.reduce((sum, end, m) => sum + (end > slot ? (weights[m] ?? NaN) : 0), 0);
}
