import { stepShapeOf, type BackendRequest, type StepShape } from '../../src/training/backend.ts';
import { Random } from '../../src/common/random.ts';
import {
  adamReference,
  encodeReference,
  referenceLoss,
  zerosLike,
  type ReferenceBatch,
  type ReferenceEncoding,
  type ReferenceParameters,
  type ReferenceResult,
} from '../../src/training/reference/reference.ts';
import {
  batchTopKReference,
  jumpReluReference,
  thresholdGradient,
} from '../../src/training/reference/referenceThresholds.ts';
import type { TrainingSettings } from '../../src/training/settings.ts';

/** As src/training/jumpRelu.ts and batchTopK.ts state them. */
const [thresholdRate, gain, followRate, kept] = [20, 4, 0.02, 0.95];

/** What a step of the reference gives besides its losses. */
export interface ReferenceStep extends ReferenceResult {
  readonly dead: number;
  /** Of jumprelu, (F) d loss / d log theta. */
  readonly ofLogThreshold: Float64Array | undefined;
}

/** A whole training in float64, of which every step is known: what a backend is held to. */
export class ReferenceTraining {
  readonly settings: TrainingSettings;
  readonly shape: StepShape;
  readonly parameters: ReferenceParameters;
  readonly first: ReferenceParameters;
  readonly second: ReferenceParameters;
  readonly sinceFired: Uint32Array; // (F)
  /** Of jumprelu: log theta with its moments, (F) each. */
  readonly logThreshold: readonly [Float64Array, Float64Array, Float64Array];
  /** Of jumprelu: lambda's base, epsilon. */
  readonly scalars: Float64Array;
  /** Of batchtopk. */
  threshold = 0;
  private readonly random: Random;

  constructor(request: BackendRequest, seed = 7) {
    const { settings, width } = request;
    const { features } = settings;
    this.settings = settings;
    this.shape = stepShapeOf(request);
    this.random = new Random(seed);
    this.parameters = {
      encoder: this.normal(features * width, 0.3),
      encoderBias: this.normal(features, 0.2),
      decoder: this.normal(features * width, 0.3),
      decoderBias: this.shape.decoderBias ? this.normal(width, 0.3) : undefined,
    };
    this.first = zerosLike(this.parameters);
    this.second = zerosLike(this.parameters);
    this.sinceFired = Uint32Array.from({ length: features }, () =>
      Math.floor(1.4 * settings.deadTokens * this.random.uniform()),
    );
    // A theta of its own for each feature, at which no activation lies.
    const log = Float64Array.from({ length: features }, () =>
      Math.fround(Math.log(0.9) + 0.3 * (this.random.uniform() - 0.5)),
    );
    this.logThreshold = [log, new Float64Array(features), new Float64Array(features)];
    this.scalars = Float64Array.of(Math.fround(0.8), Math.fround(0.9));
  }

  /** Random rows, and others to be reconstructed where the training has targets of its own. */
  nextBatch(): ReferenceBatch {
    const { batch, width, separateTarget } = this.shape;
    const input = this.normal(batch * width, 1);
    return { input, target: separateTarget ? this.normal(batch * width, 1) : input, batch };
  }

  step(batch: ReferenceBatch, step: number): ReferenceStep {
    const { shape, settings, parameters: p } = this;
    const dead = [...this.sinceFired.keys()].filter(
      f => (this.sinceFired[f] ?? 0) >= settings.deadTokens,
    );
    const before = encodeReference(p, batch, shape.width, shape.k);
    const fired = this.select(before);
    const expected = referenceLoss(p, batch, {
      ...shape,
      select: () => fired,
      auxiliary: { coefficient: settings.auxiliaryCoefficient, k: shape.auxiliaryK, dead },
    });
    const learned = this.learn(batch, before, fired, expected.residual, step);
    for (const name of ['encoder', 'encoderBias', 'decoder', 'decoderBias'] as const) {
      const [value, m, s] = [p[name], this.first[name], this.second[name]];
      const gradient = expected.gradients[name];
      if (value && m && s && gradient) adamReference(value, m, s, gradient, step, settings);
    }
    if (shape.unitDecoder) normalise(p.decoder, shape.width);
    const firing = new Set(fired.indices.filter((_, at) => (fired.values[at] ?? 0) > 0));
    this.sinceFired.forEach((tokens, f) => {
      this.sinceFired[f] = firing.has(f) ? 0 : tokens + shape.batch;
    });
    return {
      ...expected,
      loss: expected.loss + learned.penalty,
      dead: dead.length,
      ofLogThreshold: learned.gradient,
    };
  }

  private select(before: ReferenceEncoding): ReferenceEncoding {
    const { objective, k } = this.settings;
    if (objective === 'jumprelu')
      return jumpReluReference(before, this.logThreshold[0].map(Math.exp));
    if (objective !== 'batchtopk') return before;
    const selected = batchTopKReference(before, this.shape.batch * k);
    const { smallest } = selected;
    this.threshold =
      this.threshold === 0 ? smallest : kept * this.threshold + (1 - kept) * smallest;
    return selected;
  }

  private learn(
    batch: ReferenceBatch,
    before: ReferenceEncoding,
    fired: ReferenceEncoding,
    residual: Float64Array,
    step: number,
  ): { readonly penalty: number; readonly gradient: Float64Array | undefined } {
    const { settings, logThreshold, scalars } = this;
    if (settings.objective !== 'jumprelu') return { penalty: 0, gradient: undefined };
    const theta = logThreshold[0].map(Math.exp);
    const l0 = fired.values.filter(value => value > 0).length / batch.batch;
    const [base = NaN, bandwidth = NaN] = scalars;
    const coefficient = settings.sparsityCoefficient ?? base * (l0 / settings.k) ** gain;
    const o = { theta, coefficient, bandwidth };
    const gradient = thresholdGradient(this.parameters, batch, before, residual, o).map(
      (g, f) => g * (theta[f] ?? NaN),
    );
    adamReference(...logThreshold, gradient, step, {
      ...settings,
      learningRate: settings.learningRate * thresholdRate,
      weightDecay: 0,
    });
    scalars[0] = base * Math.exp(followRate * Math.min(1, l0 / settings.k - 1));
    return { penalty: coefficient * l0, gradient };
  }

  private normal(length: number, scale: number): Float64Array {
    return Float64Array.from({ length }, () => Math.fround(scale * this.random.normal()));
  }
}

function normalise(rows: Float64Array, width: number): void {
  for (let at = 0; at < rows.length; at += width) {
    const row = rows.subarray(at, at + width);
    const length = Math.hypot(...row);
    row.forEach((w, i) => (row[i] = w / length));
  }
}
