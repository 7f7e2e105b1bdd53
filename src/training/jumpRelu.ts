import type { ActivationRule } from '../saes/dictionary.ts';
import type { StepOptions } from './backend.ts';
import { keepLargest } from './batchTopK.ts';
import type { TrainingSettings } from './settings.ts';
import type { Candidates, LearntCandidates, Sparsity } from './sparsity.ts';

type JumpReluSettings = Pick<TrainingSettings, 'features' | 'k' | 'sparsityCoefficient'>;

/** Bandwidth of the straight-through kernel as a share of the first threshold: wide, for batches of a thousand. */
export const bandwidthShare = 1;
/** What the learning rate of log theta is, in learning rates: theta has to follow weights that grow in every row. */
export const thresholdRate = 20;
/** lambda = base (L0 / K)^gain: at once larger where too much fires, so that L0 does not swing about K. */
export const gain = 4;
/** How fast the base follows: each step multiplies it by exp(followRate (L0 / K - 1)), the bracket at most 1. */
export const followRate = 0.02;

/**
 * JumpReLU (Rajamanoharan et al., arXiv 2407.14435): a = h where h > theta, else 0, and L = |x - xhat|^2 + lambda L0.
 * Both derivatives by theta are straight-through estimates with a rectangle of bandwidth epsilon (equations 11 and 12):
 *   da/dtheta = -theta/epsilon and dL0/dtheta = -1/epsilon where |h - theta| < epsilon/2, else 0.
 * h is seen where it is above 0 and among its sample's candidates. theta starts as the one number that lets B K
 * activations of the first batch fire, and the base of lambda as its square, which is about what leaving out an activation
 * costs; lambda then follows the batch's L0 until that is K, unless it is given.
 */
export class JumpRelu implements Sparsity {
  /** (F) log theta; -Infinity before the first step. */
  private readonly logThreshold: Float32Array;
  private readonly firstMoment: Float32Array;
  private readonly secondMoment: Float32Array;
  /** lambda's base, epsilon. */
  private readonly scalars = new Float32Array(2);
  /** (F) theta. */
  private readonly theta: Float64Array;
  private readonly settings: JumpReluSettings;
  /** (B K') whether each candidate is within the bandwidth of its threshold. */
  private near = new Uint8Array();
  private active = 0;

  constructor(settings: JumpReluSettings) {
    this.settings = settings;
    this.logThreshold = new Float32Array(settings.features).fill(-Infinity);
    this.firstMoment = new Float32Array(settings.features);
    this.secondMoment = new Float32Array(settings.features);
    this.theta = new Float64Array(settings.features);
  }

  get arrays(): Sparsity['arrays'] {
    return {
      'logThreshold.value': this.logThreshold,
      'logThreshold.firstMoment': this.firstMoment,
      'logThreshold.secondMoment': this.secondMoment,
      sparsity: this.scalars,
    };
  }

  get rule(): ActivationRule {
    return { kind: 'jumprelu', threshold: Float32Array.from(this.logThreshold, Math.exp) };
  }

  begin({ values, shape }: Candidates): void {
    if (this.logThreshold[0] !== -Infinity) return;
    const theta = keepLargest(Float32Array.from(values), shape.batch * this.settings.k) || 1;
    this.logThreshold.fill(Math.log(theta));
    this.scalars[0] = theta * theta;
    this.scalars[1] = bandwidthShare * theta;
  }

  select({ values, indices }: Candidates): void {
    this.readThresholds();
    const half = (this.scalars[1] ?? NaN) / 2;
    if (this.near.length !== values.length) this.near = new Uint8Array(values.length);
    this.active = 0;
    for (let p = 0; p < values.length; p++) {
      const h = values[p] ?? NaN;
      const theta = this.theta[Number(indices[p])] ?? NaN;
      this.near[p] = h > 0 && Math.abs(h - theta) < half ? 1 : 0;
      if (h > theta) this.active++;
      else values[p] = 0;
    }
  }

  apply({ values, indices }: Candidates): void {
    this.readThresholds();
    values.forEach((h, p) => {
      if (!(h > (this.theta[Number(indices[p])] ?? NaN))) values[p] = 0;
    });
  }

  learn(candidates: LearntCandidates, options: StepOptions): number {
    const l0 = this.active / candidates.shape.batch;
    const coefficient = this.coefficient(l0);
    this.step(this.gradient(candidates, coefficient), options);
    const off = Math.min(1, l0 / this.settings.k - 1);
    this.scalars[0] = (this.scalars[0] ?? NaN) * Math.exp(followRate * off);
    return coefficient * l0;
  }

  /** lambda of a batch with this L0. */
  private coefficient(l0: number): number {
    const { sparsityCoefficient, k } = this.settings;
    return sparsityCoefficient ?? (this.scalars[0] ?? NaN) * (l0 / k) ** gain;
  }

  /** (F) d loss / d log theta = theta d loss / d theta. */
  private gradient(
    { slopes, indices, shape }: LearntCandidates,
    coefficient: number,
  ): Float64Array {
    const epsilon = this.scalars[1] ?? NaN;
    const gradient = new Float64Array(this.settings.features);
    for (let p = 0; p < this.near.length; p++) {
      if (this.near[p] === 0) continue;
      const f = Number(indices[p]);
      const theta = this.theta[f] ?? NaN;
      const slope = theta * (slopes[p] ?? NaN) + coefficient / shape.batch;
      gradient[f] = (gradient[f] ?? NaN) - (theta * slope) / epsilon;
    }
    return gradient;
  }

  /** Adam, without weight decay: there is no threshold that log theta should decay to. */
  private step(gradient: Float64Array, o: StepOptions): void {
    const { logThreshold: value, firstMoment, secondMoment } = this;
    const rate = (thresholdRate * o.learningRate) / (1 - o.beta1 ** o.step);
    gradient.forEach((g, f) => {
      const first = o.beta1 * (firstMoment[f] ?? NaN) + (1 - o.beta1) * g;
      const second = o.beta2 * (secondMoment[f] ?? NaN) + (1 - o.beta2) * g * g;
      firstMoment[f] = first;
      secondMoment[f] = second;
      const root = Math.sqrt(second / (1 - o.beta2 ** o.step)) + o.epsilon;
      value[f] = (value[f] ?? NaN) - (rate * first) / root;
    });
  }

  private readThresholds(): void {
    this.logThreshold.forEach((log, f) => {
      this.theta[f] = Math.exp(log);
    });
  }
}
