import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Random } from '../../../src/common/random.ts';
import type { Parameter } from '../../../src/training/backend.ts';
import { budgetsOf, type Budgets } from '../../../src/training/objective.ts';
import {
  adamReference,
  encodeReference,
  referenceLoss,
  zerosLike,
  type ReferenceEncoding,
  type ReferenceParameters,
} from '../../../src/training/reference/reference.ts';
import { TrainingKernel, type KernelShape } from '../../../src/training/kernel/trainingKernel.ts';
import { kernelBytes } from './kernelBytes.ts';

interface Case {
  readonly name: string;
  readonly features: number;
  readonly width: number;
  readonly k: number;
  readonly batch: number;
  readonly budgets: Budgets;
  readonly dead?: readonly number[];
  readonly auxiliaryK?: number;
  readonly shape?: Partial<KernelShape>;
}

const hierarchical: Case = {
  name: 'hierarchical',
  features: 40,
  width: 16,
  k: 8,
  batch: 12,
  budgets: budgetsOf('hierarchical', 8),
};

const cases: readonly Case[] = [
  hierarchical,
  { name: 'topk', features: 40, width: 16, k: 8, batch: 12, budgets: budgetsOf('topk', 8) },
  {
    name: 'a list of budgets',
    features: 40,
    width: 24,
    k: 9,
    batch: 12,
    budgets: budgetsOf('hierarchical', 9, [2, 3, 9]),
  },
  {
    name: 'width and k that are no power of two',
    features: 37,
    width: 19,
    k: 5,
    batch: 7,
    budgets: budgetsOf('hierarchical', 5),
  },
  { name: 'k = 1', features: 9, width: 8, k: 1, batch: 5, budgets: budgetsOf('hierarchical', 1) },
  {
    name: 'few features, each fired by many samples',
    features: 6,
    width: 8,
    k: 4,
    batch: 33,
    budgets: budgetsOf('hierarchical', 4),
  },
  {
    name: 'no decoder bias and another target',
    features: 30,
    width: 16,
    k: 4,
    batch: 10,
    budgets: budgetsOf('hierarchical', 4),
    shape: { decoderBias: false, separateTarget: true },
  },
  {
    name: 'AuxK',
    features: 40,
    width: 16,
    k: 4,
    batch: 9,
    budgets: budgetsOf('hierarchical', 4),
    dead: [3, 5, 11, 30, 31],
    auxiliaryK: 3,
  },
  {
    name: 'AuxK with fewer dead features than it may use',
    features: 40,
    width: 16,
    k: 4,
    batch: 9,
    budgets: budgetsOf('topk', 4),
    dead: [7, 8],
    auxiliaryK: 6,
  },
  {
    name: 'chunks that do not divide the batch',
    features: 40,
    width: 16,
    k: 4,
    batch: 11,
    budgets: budgetsOf('hierarchical', 4),
    shape: { chunk: 4 },
  },
  {
    name: 'chunks and AuxK',
    features: 40,
    width: 16,
    k: 4,
    batch: 11,
    budgets: budgetsOf('topk', 4),
    dead: [1, 2, 3, 4],
    auxiliaryK: 2,
    shape: { chunk: 5 },
  },
];

const optimizer = { learningRate: 1e-2, weightDecay: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

describe('TrainingKernel against the float64 reference', () => {
  let wasm: Uint8Array;
  const open: TrainingKernel[] = [];
  before(async () => {
    wasm = await kernelBytes();
  });
  after(async () => {
    for (const kernel of open) await kernel.dispose();
  });

  for (const threads of [1, 3]) {
    for (const c of cases) {
      it(`${c.name}, ${threads} thread(s): losses, gradients, ten AdamW steps`, async () => {
        const kernel = await TrainingKernel.open(wasm, shapeOf(c, threads));
        open.push(kernel);
        const random = new Random(7);
        const p = randomParameters(random, c, kernel.shape.decoderBias);
        store(kernel, p);
        const moments = { first: zerosLike(p), second: zerosLike(p) };
        for (let step = 1; step <= 10; step++) {
          const input = randomArray(random, c.batch * c.width, 1);
          const target = kernel.shape.separateTarget
            ? randomArray(random, c.batch * c.width, 1)
            : input;
          const batch = { input, target, batch: c.batch };
          const auxiliary = { coefficient: 1 / 32, k: c.auxiliaryK ?? 0, dead: c.dead ?? [] };
          const expected = referenceLoss(p, batch, { ...c, auxiliary });
          fill(kernel, kernel.input, input);
          fill(kernel, kernel.target, target);
          put(kernel.values, kernel.indices, encodeReference(p, batch, c.width, c.k));
          const dead = encodeReference(p, batch, c.width, auxiliary.k, auxiliary.dead);
          put(kernel.auxiliaryValues, kernel.auxiliaryIndices, dead);
          const first = moments.first;
          const before = structuredClone(first);
          const losses = kernel.step({
            ...optimizer,
            step,
            auxiliaryCoefficient: 1 / 32,
            auxiliarySlots: dead.k,
          });
          close(losses.loss, expected.loss, 1e-5, 'loss');
          close(losses.squaredError, expected.squaredError, 1e-5, 'squared error');
          close(losses.auxiliary, expected.auxiliary, 1e-5, 'auxiliary loss');
          for (const name of ['encoder', 'encoderBias', 'decoder', 'decoderBias'] as const) {
            const [value, m, s, g] = [
              p[name],
              first[name],
              moments.second[name],
              expected.gradients[name],
            ];
            const found = kernel[name];
            if (!value || !m || !s || !g || !found) continue;
            adamReference(value, m, s, g, step, optimizer);
            // The first moment is a tenth of the gradient more than nine tenths of itself: it shows the gradient.
            const gradient = rows(kernel, found.firstMoment, value.length).map(
              (now, i) => (now - 0.9 * (before[name]?.[i] ?? 0)) * 10,
            );
            closeArrays(gradient, g, 2e-5, `gradient of ${name}, step ${step}`);
            closeArrays(
              rows(kernel, found.value, value.length),
              value,
              2e-4,
              `${name}, step ${step}`,
            );
          }
          // Adam divides by the root of the second moment: start the next step from the same numbers.
          store(kernel, p, moments);
        }
      });
    }
  }

  it('counts the tokens since each feature fired', async () => {
    const c = hierarchical;
    const kernel = await TrainingKernel.open(wasm, shapeOf(c, 2));
    open.push(kernel);
    const p = randomParameters(new Random(1), c, true);
    store(kernel, p);
    const batch = { input: randomArray(new Random(2), c.batch * c.width, 1), batch: c.batch };
    const encoding = encodeReference(p, { ...batch, target: batch.input }, c.width, c.k);
    put(kernel.values, kernel.indices, encoding);
    kernel.step({
      ...optimizer,
      learningRate: 0,
      step: 1,
      auxiliaryCoefficient: 0,
      auxiliarySlots: 0,
    });
    const fired = new Set(encoding.indices.filter((_, i) => (encoding.values[i] ?? 0) > 0));
    assert.ok(fired.size > 0 && fired.size < c.features);
    for (let f = 0; f < c.features; f++)
      assert.equal(kernel.sinceFired[f], fired.has(f) ? 0 : c.batch);
  });

  it('gives the same bits twice at the same number of threads', async () => {
    const results: Float32Array[] = [];
    for (let run = 0; run < 2; run++) {
      const c = hierarchical;
      const kernel = await TrainingKernel.open(wasm, shapeOf(c, 3));
      open.push(kernel);
      const random = new Random(5);
      const p = randomParameters(random, c, true);
      store(kernel, p);
      for (let step = 1; step <= 5; step++) {
        const input = randomArray(random, c.batch * c.width, 1);
        fill(kernel, kernel.input, input);
        put(
          kernel.values,
          kernel.indices,
          encodeReference(p, { input, target: input, batch: c.batch }, c.width, c.k),
        );
        kernel.step({ ...optimizer, step, auxiliaryCoefficient: 0, auxiliarySlots: 0 });
      }
      results.push(
        Float32Array.from(kernel.decoder.value),
        Float32Array.from(kernel.decoderBias?.value ?? []),
      );
    }
    assert.deepEqual(results[2], results[0]);
    assert.deepEqual(results[3], results[1]);
  });

  it('keeps decoder rows at length 1 where asked', async () => {
    const c = hierarchical;
    const kernel = await TrainingKernel.open(wasm, { ...shapeOf(c, 2), unitDecoder: true });
    open.push(kernel);
    store(kernel, randomParameters(new Random(3), c, true));
    kernel.step({ ...optimizer, step: 1, auxiliaryCoefficient: 0, auxiliarySlots: 0 });
    for (let f = 0; f < c.features; f++) {
      const row = kernel.decoder.value.subarray(f * kernel.stride, (f + 1) * kernel.stride);
      close(
        row.reduce((sum, w) => sum + w * w, 0),
        1,
        1e-5,
        `row ${f}`,
      );
    }
  });
});

describe('The reference', () => {
  for (const c of cases.slice(0, 9)) {
    it(`has the gradients of central finite differences: ${c.name}`, () => {
      const random = new Random(11);
      const p = randomParameters(random, c, c.shape?.decoderBias ?? true);
      const input = randomArray(random, c.batch * c.width, 1);
      const target = c.shape?.separateTarget ? randomArray(random, c.batch * c.width, 1) : input;
      const batch = { input, target, batch: c.batch };
      const objective = {
        ...c,
        auxiliary: { coefficient: 0.5, k: c.auxiliaryK ?? 0, dead: c.dead ?? [] },
      };
      const { gradients, residual } = referenceLoss(p, batch, objective);
      const total = (): number => {
        const now = referenceLoss(p, batch, objective, residual);
        return now.loss + 0.5 * now.auxiliary;
      };
      for (const name of ['encoder', 'encoderBias', 'decoder', 'decoderBias'] as const) {
        const [value, gradient] = [p[name], gradients[name]];
        if (!value || !gradient) continue;
        for (let trial = 0; trial < 40; trial++) {
          const i = random.below(value.length);
          const kept = value[i] ?? 0;
          const h = 1e-6;
          value[i] = kept + h;
          const up = total();
          value[i] = kept - h;
          const down = total();
          value[i] = kept;
          close((up - down) / (2 * h), gradient[i] ?? NaN, 1e-6, `${name}[${i}]`);
        }
      }
    });
  }
});

function shapeOf(c: Case, threads: number): KernelShape {
  return {
    features: c.features,
    width: c.width,
    k: c.k,
    batch: c.batch,
    budgets: c.budgets,
    auxiliaryK: c.auxiliaryK ?? 0,
    decoderBias: true,
    separateTarget: false,
    unitDecoder: false,
    threads,
    ...c.shape,
  };
}

function randomArray(random: Random, length: number, scale: number): Float64Array {
  return Float64Array.from({ length }, () => Math.fround(scale * random.normal()));
}

function randomParameters(random: Random, c: Case, bias: boolean): ReferenceParameters {
  return {
    encoder: randomArray(random, c.features * c.width, 0.3),
    encoderBias: randomArray(random, c.features, 0.2),
    decoder: randomArray(random, c.features * c.width, 0.3),
    decoderBias: bias ? randomArray(random, c.width, 0.3) : undefined,
  };
}

function store(
  kernel: TrainingKernel,
  p: ReferenceParameters,
  moments?: { readonly first: ReferenceParameters; readonly second: ReferenceParameters },
): void {
  for (const name of ['encoder', 'encoderBias', 'decoder', 'decoderBias'] as const) {
    const parameter: Parameter | undefined = kernel[name];
    const value = p[name];
    if (!parameter || !value) continue;
    fill(kernel, parameter.value, value);
    if (!moments) continue;
    fill(kernel, parameter.firstMoment, moments.first[name] ?? value);
    fill(kernel, parameter.secondMoment, moments.second[name] ?? value);
  }
}

/** Copies rows of D into rows of the kernel's stride; a plain vector as it is. */
function fill(kernel: TrainingKernel, to: Float32Array, from: Float64Array): void {
  const { width } = kernel.shape;
  if (from.length % width !== 0 || to.length % kernel.stride !== 0 || to.length === from.length)
    to.set(from);
  else
    for (let r = 0; r * width < from.length; r++)
      to.set(from.subarray(r * width, (r + 1) * width), r * kernel.stride);
}

function rows(kernel: TrainingKernel, from: Float32Array, length: number): Float64Array {
  if (from.length === length) return Float64Array.from(from);
  const { width } = kernel.shape;
  return Float64Array.from(
    { length },
    (_, i) => from[Math.floor(i / width) * kernel.stride + (i % width)] ?? NaN,
  );
}

function put(values: Float32Array, indices: BigInt64Array, encoding: ReferenceEncoding): void {
  values.set(encoding.values);
  encoding.indices.forEach((f, i) => {
    indices[i] = BigInt(f);
  });
}

function close(found: number, expected: number, tolerance: number, what: string): void {
  const allowed = tolerance * Math.max(1, Math.abs(expected));
  assert.ok(Math.abs(found - expected) <= allowed, `${what}: ${found}, expected ${expected}`);
}

function closeArrays(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  let worst = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    worst = Math.max(worst, Math.abs((found[i] ?? NaN) - (expected[i] ?? 0)));
    largest = Math.max(largest, Math.abs(expected[i] ?? 0));
  }
  assert.ok(
    found.length === expected.length && worst <= tolerance * Math.max(largest, 1e-3),
    `${what}: off by ${worst}, largest ${largest}`,
  );
}
