import type { ReferenceBatch, ReferenceEncoding, ReferenceParameters } from './reference.ts';

/** BatchTopK (arXiv 2412.06410): the B K largest activations of the batch stay; of equal ones the earlier. */
export function batchTopKReference(
  encoding: ReferenceEncoding,
  count: number,
): ReferenceEncoding & { readonly smallest: number } {
  const ranked = Array.from(encoding.values, (value, p) => ({ value, p }))
    .filter(({ value }) => value > 0)
    .sort((one, other) => other.value - one.value || one.p - other.p)
    .slice(0, count);
  const values = new Float64Array(encoding.values.length);
  for (const { value, p } of ranked) values[p] = value;
  return { ...encoding, values, smallest: ranked.at(-1)?.value ?? 0 };
}

/** JumpReLU (arXiv 2407.14435, equation 1): an activation stays where it is above its feature's theta. */
export function jumpReluReference(
  encoding: ReferenceEncoding,
  theta: Float64Array, // (F)
): ReferenceEncoding {
  const values = encoding.values.map((h, p) =>
    h > (theta[encoding.indices[p] ?? 0] ?? NaN) ? h : 0,
  );
  return { ...encoding, values };
}

export interface ReferenceThresholds {
  readonly theta: Float64Array; // (F)
  readonly coefficient: number; // lambda
  readonly bandwidth: number; // epsilon
}

/**
 * (F) straight-through estimate of d/dtheta of 1/B sum_b [ |y - xhat|^2 + lambda L0 ] (equations 11 and 12), where
 * `before` are the candidates (rectified h) and `residual` is y - xhat, (B, D):
 *   sum_b -1/epsilon [ |h - theta| < epsilon/2 ] (theta d|y - xhat|^2/da + lambda) / B,  d|y - xhat|^2/da = -2 (y - xhat) . W_dec.
 */
export function thresholdGradient(
  p: ReferenceParameters,
  batch: ReferenceBatch,
  before: ReferenceEncoding,
  residual: Float64Array,
  o: ReferenceThresholds,
): Float64Array {
  const width = residual.length / batch.batch;
  const gradient = new Float64Array(o.theta.length);
  before.values.forEach((h, at) => {
    const f = before.indices[at] ?? 0;
    const theta = o.theta[f] ?? NaN;
    if (!(h > 0) || Math.abs(h - theta) >= o.bandwidth / 2) return;
    const b = Math.floor(at / before.k);
    let slope = 0;
    for (let t = 0; t < width; t++)
      slope -= 2 * (residual[b * width + t] ?? NaN) * (p.decoder[f * width + t] ?? NaN);
    const both = theta * slope + o.coefficient;
    gradient[f] = (gradient[f] ?? NaN) - both / (o.bandwidth * batch.batch);
  });
  return gradient;
}
