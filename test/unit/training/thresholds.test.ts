import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Random } from '../../../src/common/random.ts';
import { BatchTopK, keepLargest } from '../../../src/training/batchTopK.ts';
import { JumpRelu } from '../../../src/training/jumpRelu.ts';
import { budgetsOf } from '../../../src/training/objective.ts';
import {
  adamReference,
  encodeReference,
  referenceLoss,
  zerosLike,
  type ReferenceBatch,
  type ReferenceEncoding,
  type ReferenceParameters,
} from '../../../src/training/reference/reference.ts';
import {
  batchTopKReference,
  jumpReluReference,
  thresholdGradient,
} from '../../../src/training/reference/referenceThresholds.ts';
import { TrainingKernel } from '../../../src/training/kernel/trainingKernel.ts';
import { kernelBytes } from './kernelBytes.ts';

const size = { features: 37, width: 19, k: 3, batch: 11 };
/** Candidates per sample. */
const candidates = 12;
/** As src/training/jumpRelu.ts states them. */
const [thresholdRate, gain, followRate] = [20, 4, 0.02];
const optimizer = { learningRate: 1e-2, weightDecay: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
const names = ['encoder', 'encoderBias', 'decoder', 'decoderBias'] as const;

describe('The reference with thresholds', () => {
  const random = new Random(3);
  const p = randomParameters(random);
  const batch = randomBatch(random);
  const theta = Float64Array.from({ length: size.features }, () => 0.5 + random.uniform());
  const selections = {
    batchtopk: (e: ReferenceEncoding) => batchTopKReference(e, size.batch * size.k),
    jumprelu: (e: ReferenceEncoding) => jumpReluReference(e, theta),
  };
  for (const [name, select] of Object.entries(selections)) {
    it(`has the gradients of central finite differences: ${name}`, () => {
      const { gradients } = referenceLoss(p, batch, objective(select));
      for (const part of names) {
        const [value, gradient] = [p[part], gradients[part]];
        if (!gradient) throw new Error(`no ${part}`);
        for (let trial = 0; trial < 40; trial++) {
          const i = random.below(value.length);
          const difference = slopeAt(
            value,
            i,
            () => referenceLoss(p, batch, objective(select)).loss,
          );
          close(difference, gradient[i] ?? NaN, 1e-6, `${part}[${i}]`);
        }
      }
    });
  }

  it('estimates the gradient of theta by the rectangle, told by integrating the estimate and differentiating', () => {
    const before = encodeReference(p, batch, size.width, candidates);
    const select = selections.jumprelu;
    const { residual } = referenceLoss(p, batch, objective(select));
    const o = { theta, coefficient: 0.7, bandwidth: 0.4 };
    const found = thresholdGradient(p, batch, before, residual, o);
    const fired = select(before);
    // d|x - xhat|^2/da of each candidate, by differences of plain sums, whether or not it fires.
    const slopes = before.values.map((_, at) =>
      slopeAt(fired.values, at, () => squaredError(p, batch, fired)),
    );
    // The functions of theta whose derivatives are -theta/epsilon K and -1/epsilon K, K the rectangle about h.
    const smoothed = (): number => {
      let sum = 0;
      before.values.forEach((h, at) => {
        if (!(h > 0)) return;
        const [low, high] = [h - o.bandwidth / 2, h + o.bandwidth / 2];
        const at0 = Math.min(high, Math.max(low, theta[before.indices[at] ?? 0] ?? NaN));
        sum += ((slopes[at] ?? NaN) * (low * low - at0 * at0)) / (2 * o.bandwidth);
        sum += (o.coefficient * (high - at0)) / o.bandwidth;
      });
      return sum / size.batch;
    };
    assert.ok(found.filter(g => g !== 0).length > 5);
    found.forEach((g, f) => close(g, slopeAt(theta, f, smoothed), 1e-5, `theta[${f}]`));
  });
});

describe('Thresholds in the kernel against the float64 reference', () => {
  let wasm: Uint8Array;
  const open: TrainingKernel[] = [];
  before(async () => {
    wasm = await kernelBytes();
  });
  after(async () => {
    for (const kernel of open) await kernel.dispose();
  });

  async function kernelOf(threads: number, chunk?: number): Promise<TrainingKernel> {
    const kernel = await TrainingKernel.open(wasm, {
      ...size,
      k: candidates,
      budgets: budgetsOf('jumprelu', candidates),
      auxiliaryK: 0,
      decoderBias: true,
      separateTarget: false,
      unitDecoder: false,
      allSlopes: true,
      threads,
      ...(chunk === undefined ? {} : { chunk }),
    });
    open.push(kernel);
    return kernel;
  }

  for (const [threads, chunk] of [[1], [3], [2, 4]]) {
    it(`batchtopk, ${threads ?? 0} threads, chunk ${chunk ?? 'whole'}: ten AdamW steps`, async () => {
      const kernel = await kernelOf(threads ?? 1, chunk);
      const sparsity = new BatchTopK(size);
      let threshold = 0;
      stepTen(kernel, ({ p, batch, step, before }) => {
        const kept = batchTopKReference(before, size.batch * size.k);
        sparsity.select(kernel);
        sameFiring(kernel, kept);
        threshold = step === 1 ? kept.smallest : 0.95 * threshold + 0.05 * kept.smallest;
        close(sparsity.arrays['threshold']?.[0] ?? NaN, threshold, 1e-5, 'threshold');
        return {
          expected: referenceLoss(
            p,
            batch,
            objective(() => kept),
          ),
          learn: () => sparsity.learn(),
        };
      });
    });

    it(`jumprelu, ${threads ?? 0} threads, chunk ${chunk ?? 'whole'}: ten AdamW steps`, async () => {
      const kernel = await kernelOf(threads ?? 1, chunk);
      const sparsity = new JumpRelu({ ...size, sparsityCoefficient: undefined });
      const log = new Float64Array(size.features);
      const moments = [new Float64Array(size.features), new Float64Array(size.features)] as const;
      let base = 0;
      let bandwidth = 0;
      stepTen(kernel, ({ p, batch, step, before, options }) => {
        if (step === 1) {
          const { smallest } = batchTopKReference(before, size.batch * size.k);
          sparsity.begin(kernel);
          const begun = sparsity.arrays['logThreshold.value'];
          assert.ok(begun);
          begun.forEach(value => close(value, Math.log(smallest), 1e-6, 'first log theta'));
          // From here on a theta of its own for each feature, at which no activation lies.
          const random = new Random(9);
          begun.forEach(
            (value, f) => (log[f] = Math.fround(value + 0.3 * (random.uniform() - 0.5))),
          );
          begun.set(log);
          kernel.values.set(before.values);
          base = smallest ** 2;
          bandwidth = smallest;
        }
        sparsity.select(kernel);
        const theta = log.map(Math.exp);
        const kept = jumpReluReference(before, theta);
        sameFiring(kernel, kept);
        const expected = referenceLoss(
          p,
          batch,
          objective(() => kept),
        );
        const l0 = kept.values.filter(value => value > 0).length / size.batch;
        const coefficient = base * (l0 / size.k) ** gain;
        const o = { theta, coefficient, bandwidth };
        const gradient = thresholdGradient(p, batch, before, expected.residual, o);
        assert.ok(gradient.some(g => g !== 0));
        return {
          expected,
          learn: () => {
            const first = Float64Array.from(sparsity.arrays['logThreshold.firstMoment'] ?? []);
            close(sparsity.learn(kernel, options), coefficient * l0, 1e-5, 'penalty');
            const now = sparsity.arrays['logThreshold.firstMoment'] ?? first;
            gradient.forEach((g, f) => {
              const shown = ((now[f] ?? NaN) - 0.9 * (first[f] ?? NaN)) * 10;
              close(
                shown,
                g * (theta[f] ?? NaN),
                2e-4,
                `gradient of log theta, ${f}, step ${step}`,
              );
            });
            const scaled = gradient.map((g, f) => g * (theta[f] ?? NaN));
            adamReference(log, ...moments, scaled, step, {
              ...optimizer,
              learningRate: optimizer.learningRate * thresholdRate,
              weightDecay: 0,
            });
            base *= Math.exp(followRate * Math.min(1, l0 / size.k - 1));
            const found = sparsity.rule;
            assert.ok(found.kind === 'jumprelu');
            log.forEach((value, f) =>
              close(Math.log(found.threshold[f] ?? NaN), value, 2e-3, `log theta ${f}`),
            );
            close(sparsity.arrays['sparsity']?.[0] ?? NaN, base, 1e-5, 'base of lambda');
            // The same numbers for the next step: a candidate at the edge of a window is in it or out of it.
            sparsity.arrays['logThreshold.value']?.set(log);
            sparsity.arrays['logThreshold.firstMoment']?.set(moments[0]);
            sparsity.arrays['logThreshold.secondMoment']?.set(moments[1]);
          },
        };
      });
    });
  }

  interface Step {
    readonly p: ReferenceParameters;
    readonly batch: ReferenceBatch;
    readonly step: number;
    readonly before: ReferenceEncoding;
    readonly options: typeof optimizer & {
      readonly step: number;
      readonly auxiliaryCoefficient: number;
      readonly auxiliarySlots: number;
    };
  }

  /** Ten steps of the kernel beside ten of the reference. */
  function stepTen(
    kernel: TrainingKernel,
    select: (step: Step) => {
      readonly expected: ReturnType<typeof referenceLoss>;
      readonly learn: () => unknown;
    },
  ): void {
    const random = new Random(7);
    const p = randomParameters(random);
    const [first, second] = [zerosLike(p), zerosLike(p)];
    for (let step = 1; step <= 10; step++) {
      const batch = randomBatch(random);
      fill(kernel, kernel.input, batch.input);
      for (const name of names) fill(kernel, kernel[name]?.value, p[name]);
      const before = encodeReference(p, batch, size.width, candidates);
      kernel.values.set(before.values);
      before.indices.forEach((f, at) => (kernel.indices[at] = BigInt(f)));
      const options = { ...optimizer, step, auxiliaryCoefficient: 0, auxiliarySlots: 0 };
      const { expected, learn } = select({ p, batch, step, before, options });
      const losses = kernel.step(options);
      close(losses.loss, expected.loss, 1e-5, 'loss');
      for (const name of names) {
        const [value, m, s, g] = [p[name], first[name], second[name], expected.gradients[name]];
        const found = kernel[name];
        if (!m || !s || !g || !found) throw new Error(`no ${name}`);
        const kept = Float64Array.from(m);
        adamReference(value, m, s, g, step, optimizer);
        rows(kernel, found.firstMoment, value.length).forEach((now, i) =>
          close(
            (now - 0.9 * (kept[i] ?? NaN)) * 10,
            g[i] ?? NaN,
            1e-4,
            `gradient of ${name}[${i}]`,
          ),
        );
        rows(kernel, found.value, value.length).forEach((now, i) =>
          close(now, value[i] ?? NaN, 1e-3, `${name}[${i}], step ${step}`),
        );
        fill(kernel, found.firstMoment, m);
        fill(kernel, found.secondMoment, s);
      }
      learn();
    }
  }
});

describe('keepLargest', () => {
  it('keeps of equal values the earlier, and never what is 0', () => {
    const values = Float32Array.of(2, 1, 1, 3, 1, 0);
    assert.equal(keepLargest(values, 4), 1);
    assert.deepEqual([...values], [2, 1, 1, 3, 0, 0]);
    const few = Float32Array.of(0, 5, 0);
    assert.equal(keepLargest(few, 2), 5);
    assert.deepEqual([...few], [0, 5, 0]);
    assert.equal(keepLargest(new Float32Array(4), 2), 0);
  });
});

function objective(select: (encoding: ReferenceEncoding) => ReferenceEncoding) {
  const budgets = budgetsOf('batchtopk', candidates);
  return { ...size, k: candidates, budgets, select, auxiliary: { coefficient: 0, k: 0, dead: [] } };
}

/** 1/B-free sum over the batch of |x - xhat|^2, in plain sums. */
function squaredError(
  p: ReferenceParameters,
  batch: ReferenceBatch,
  { values, indices, k }: ReferenceEncoding,
): number {
  let sum = 0;
  for (let b = 0; b < batch.batch; b++) {
    for (let t = 0; t < size.width; t++) {
      let error = (p.decoderBias?.[t] ?? 0) - (batch.target[b * size.width + t] ?? NaN);
      for (let j = b * k; j < (b + 1) * k; j++)
        error += (values[j] ?? NaN) * (p.decoder[(indices[j] ?? 0) * size.width + t] ?? NaN);
      sum += error * error;
    }
  }
  return sum;
}

function slopeAt(value: Float64Array, i: number, f: () => number): number {
  const kept = value[i] ?? NaN;
  const h = 1e-6;
  value[i] = kept + h;
  const up = f();
  value[i] = kept - h;
  const down = f();
  value[i] = kept;
  return (up - down) / (2 * h);
}

function sameFiring(kernel: TrainingKernel, expected: ReferenceEncoding): void {
  assert.deepEqual(
    Array.from(kernel.values, value => value > 0),
    Array.from(expected.values, value => value > 0),
  );
}

function randomArray(random: Random, length: number, scale: number): Float64Array {
  return Float64Array.from({ length }, () => Math.fround(scale * random.normal()));
}

function randomParameters(random: Random): ReferenceParameters & { decoderBias: Float64Array } {
  return {
    encoder: randomArray(random, size.features * size.width, 0.3),
    encoderBias: randomArray(random, size.features, 0.2),
    decoder: randomArray(random, size.features * size.width, 0.3),
    decoderBias: randomArray(random, size.width, 0.3),
  };
}

function randomBatch(random: Random): ReferenceBatch {
  const input = randomArray(random, size.batch * size.width, 1);
  return { input, target: input, batch: size.batch };
}

/** Copies rows of D into rows of the kernel's stride; the encoder's bias as it is. */
function fill(
  kernel: TrainingKernel,
  to: Float32Array | undefined,
  from: Float64Array | undefined,
): void {
  assert.ok(to && from);
  if (from.length === size.features) to.set(from);
  else
    for (let r = 0; r * size.width < from.length; r++)
      to.set(from.subarray(r * size.width, (r + 1) * size.width), r * kernel.stride);
}

function rows(kernel: TrainingKernel, from: Float32Array, length: number): Float64Array {
  if (length === size.features) return Float64Array.from(from);
  return Float64Array.from(
    { length },
    (_, i) => from[Math.floor(i / size.width) * kernel.stride + (i % size.width)] ?? NaN,
  );
}

function close(found: number, expected: number, tolerance: number, what: string): void {
  const allowed = tolerance * Math.max(1, Math.abs(expected));
  assert.ok(Math.abs(found - expected) <= allowed, `${what}: ${found}, expected ${expected}`);
}
