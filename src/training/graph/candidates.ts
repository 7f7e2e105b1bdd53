import type { Arithmetic } from '../../onnx/arithmetic.ts';
import type { Value } from '../../onnx/graph.ts';

/** Features of each sample, descending, and what they are with: activations before any choice, rectified. */
export interface Strongest {
  readonly values: Value; // (b, k)
  /** int64, with an axis that devices without 64-bit arithmetic could not add. */
  readonly indices: Value; // (b, k, 1)
}

/** What stands for minus infinity among pre-activations. */
const lowest = -1e30;

/** W_enc x + b_enc, (b, F). */
export function preActivations(a: Arithmetic, x: Value, encoder: Value, bias: Value): Value {
  return a.graph.op('Gemm', [x, encoder, bias], { transB: 1n });
}

/** The k largest of `pre` (b, F), rectified. */
export function strongest(a: Arithmetic, pre: Value, k: number): Strongest {
  const inputs = [a.unsqueeze(pre, 2), a.graph.int64([k])];
  const [values, indices] = a.graph.ops(2, 'TopK', inputs, { axis: 1n }); // (b, k, 1)
  return { values: a.op('Relu', a.squeeze(values, 2)), indices };
}

/** The same among the features that `dead` (F) is true of; where they are fewer, the rest are 0. */
export function strongestDead(a: Arithmetic, pre: Value, dead: Value, k: number): Strongest {
  return strongest(a, a.op('Where', dead, pre, lowest), k);
}
