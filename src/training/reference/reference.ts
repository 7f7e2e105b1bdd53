import type { Budgets } from '../objective.ts';

/**
 * The training step in float64, written to be read: what every backend is held to. Arrays are row-major.
 * Loss of a batch (arXiv 2505.24473, and Gao et al., arXiv 2406.04093, for AuxK):
 *   L = 1/B sum_b [ sum_m w_m |y - xhat_m|^2 + alpha |e - ehat|^2 ],
 *   xhat_m = b_dec + sum of the first ends[m] activations times decoder rows,
 *   e = y - xhat_K, taken as a constant; ehat = sum over the strongest dead features.
 */
export interface ReferenceParameters {
  readonly encoder: Float64Array; // (F, D)
  readonly encoderBias: Float64Array; // (F)
  readonly decoder: Float64Array; // (F, D)
  readonly decoderBias: Float64Array | undefined; // (D)
}

export interface ReferenceBatch {
  readonly input: Float64Array; // (B, D)
  readonly target: Float64Array; // (B, D)
  readonly batch: number;
}

export interface ReferenceObjective {
  readonly features: number; // F
  readonly width: number; // D
  readonly k: number; // K
  readonly budgets: Budgets;
  /** Which of the K fire, where not all do: K are then the candidates. */
  readonly select?: (encoding: ReferenceEncoding) => ReferenceEncoding;
  readonly auxiliary: {
    readonly coefficient: number; // alpha
    readonly k: number;
    readonly dead: readonly number[];
  };
}

/** The strongest features of each sample, by descending activation; activations are rectified. */
export interface ReferenceEncoding {
  readonly k: number;
  readonly indices: Uint32Array; // (B, K)
  readonly values: Float64Array; // (B, K)
}

export interface ReferenceResult {
  readonly loss: number;
  /** |y - xhat_K|^2, mean over the batch. */
  readonly squaredError: number;
  readonly auxiliary: number;
  readonly gradients: ReferenceParameters;
}

/** TopK(W_enc x + b_enc) among `among`, or all features. */
export function encodeReference(
  p: ReferenceParameters,
  batch: ReferenceBatch,
  width: number,
  k: number,
  among: readonly number[] = Array.from(p.encoderBias.keys()),
): ReferenceEncoding {
  const kept = Math.min(k, among.length);
  const indices = new Uint32Array(batch.batch * kept);
  const values = new Float64Array(batch.batch * kept);
  for (let b = 0; b < batch.batch; b++) {
    const ranked = among
      .map(f => {
        let sum = p.encoderBias[f] ?? 0;
        for (let t = 0; t < width; t++)
          sum += at(p.encoder, f * width + t) * at(batch.input, b * width + t);
        return { f, sum };
      })
      .sort((one, other) => other.sum - one.sum || one.f - other.f);
    for (let j = 0; j < kept; j++) {
      indices[b * kept + j] = ranked[j]?.f ?? 0;
      values[b * kept + j] = Math.max(0, ranked[j]?.sum ?? 0);
    }
  }
  return { k: kept, indices, values };
}

/** Loss and every gradient. `residual` fixes AuxK's target e, which is a constant to the gradient. */
export function referenceLoss(
  p: ReferenceParameters,
  batch: ReferenceBatch,
  o: ReferenceObjective,
  residual?: Float64Array,
): ReferenceResult & { readonly residual: Float64Array } {
  const gradients = zerosLike(p);
  const left = new Float64Array(batch.batch * o.width);
  const common = { p, batch, width: o.width, gradients };
  const encoding = encodeReference(p, batch, o.width, o.k);
  const fit = reconstruct({
    ...common,
    ...o.budgets,
    target: batch.target,
    encoding: o.select?.(encoding) ?? encoding,
    scale: 1,
    bias: true,
    residual: left,
  });
  const used = residual ?? left;
  const result = {
    loss: fit.loss,
    squaredError: fit.last,
    auxiliary: 0,
    gradients,
    residual: left,
  };
  if (o.auxiliary.k === 0 || o.auxiliary.dead.length === 0) return result;
  const dead = encodeReference(p, batch, o.width, o.auxiliary.k, o.auxiliary.dead);
  const auxiliary = reconstruct({
    ...common,
    target: used,
    encoding: dead,
    ends: Uint32Array.of(dead.k),
    weights: Float32Array.of(1),
    scale: o.auxiliary.coefficient,
    bias: false,
    residual: undefined,
  });
  return { ...result, auxiliary: auxiliary.last };
}

interface Reconstruction extends Budgets {
  readonly p: ReferenceParameters;
  readonly batch: ReferenceBatch;
  readonly width: number; // D
  readonly target: Float64Array; // (B, D)
  readonly encoding: ReferenceEncoding;
  /** What the loss counts in the gradients. */
  readonly scale: number;
  /** Whether the decoder bias is part of it. */
  readonly bias: boolean;
  readonly gradients: ReferenceParameters;
  /** Where target - xhat_K goes, (B, D). */
  readonly residual: Float64Array | undefined;
}

/** One reconstruction's loss; adds scale times its gradients. */
function reconstruct(r: Reconstruction): { loss: number; last: number } {
  const { p, encoding, target, width: d } = r;
  const { k } = encoding;
  const samples = r.batch.batch;
  let loss = 0;
  let last = 0;
  for (let b = 0; b < samples; b++) {
    // error[j] = xhat_j - y after the first j + 1 activations; slope[j] = d loss / d xhat contributed by prefix j.
    const error = new Float64Array(d);
    for (let t = 0; t < d; t++)
      error[t] = (r.bias ? (p.decoderBias?.[t] ?? 0) : 0) - at(target, b * d + t);
    const slopes: Float64Array[] = [];
    for (let j = 0, m = 0; j < k; j++) {
      const f = encoding.indices[b * k + j] ?? 0;
      for (let t = 0; t < d; t++)
        error[t] = at(error, t) + at(encoding.values, b * k + j) * at(p.decoder, f * d + t);
      const counts = r.ends[m] === j + 1;
      const weight = counts ? (r.weights[m] ?? 0) : 0;
      if (counts) m++;
      const square = error.reduce((sum, e) => sum + e * e, 0);
      loss += (weight * square) / samples;
      if (j === k - 1) last += square / samples;
      slopes.push(error.map(e => (2 * r.scale * weight * e) / samples));
    }
    r.residual?.set(
      error.map(e => -e),
      b * d,
    );
    addGradients(r, b, slopes);
  }
  return { loss, last };
}

/** Activation j is part of every prefix from j on, so its slope is the sum of theirs. */
function addGradients(r: Reconstruction, b: number, slopes: readonly Float64Array[]): void {
  const { p, batch, encoding, gradients, width: d } = r;
  const { k } = encoding;
  const sum = new Float64Array(d);
  for (let j = k - 1; j >= 0; j--) {
    const f = encoding.indices[b * k + j] ?? 0;
    const value = at(encoding.values, b * k + j);
    let slope = 0;
    for (let t = 0; t < d; t++) {
      sum[t] = at(sum, t) + at(slopes[j], t);
      slope += at(sum, t) * at(p.decoder, f * d + t);
      increase(gradients.decoder, f * d + t, value * at(sum, t));
    }
    if (!(value > 0)) continue;
    increase(gradients.encoderBias, f, slope);
    for (let t = 0; t < d; t++)
      increase(gradients.encoder, f * d + t, slope * at(batch.input, b * d + t));
  }
  const { decoderBias } = gradients;
  if (r.bias && decoderBias) sum.forEach((g, t) => increase(decoderBias, t, g));
}

export interface ReferenceAdam {
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

/** One AdamW step (arXiv 1711.05101) in place; step counts from 1. */
export function adamReference(
  value: Float64Array,
  first: Float64Array,
  second: Float64Array,
  gradient: Float64Array,
  step: number,
  o: ReferenceAdam,
): void {
  for (let i = 0; i < value.length; i++) {
    const g = at(gradient, i);
    const m = o.beta1 * at(first, i) + (1 - o.beta1) * g;
    const s = o.beta2 * at(second, i) + (1 - o.beta2) * g * g;
    first[i] = m;
    second[i] = s;
    const move = m / (1 - o.beta1 ** step) / (Math.sqrt(s / (1 - o.beta2 ** step)) + o.epsilon);
    value[i] = at(value, i) * (1 - o.learningRate * o.weightDecay) - o.learningRate * move;
  }
}

export function zerosLike(p: ReferenceParameters): ReferenceParameters {
  return {
    encoder: new Float64Array(p.encoder.length),
    encoderBias: new Float64Array(p.encoderBias.length),
    decoder: new Float64Array(p.decoder.length),
    decoderBias: p.decoderBias && new Float64Array(p.decoderBias.length),
  };
}

function at(array: Float64Array | undefined, index: number): number {
  return array?.[index] ?? NaN;
}

function increase(array: Float64Array, index: number, by: number): void {
  array[index] = (array[index] ?? NaN) + by;
}
