import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import {
  parameterNames,
  type OpenBackend,
  type TrainingArrays,
  type TrainingBackend,
} from '../../src/training/backend.ts';
import { defaultSettings, type TrainingSettings } from '../../src/training/settings.ts';
import { ReferenceTraining } from './referenceTraining.ts';

interface Case {
  readonly name: string;
  readonly width: number;
  readonly settings: Partial<TrainingSettings>;
}

const base = { name: 'base', hash: 'abc', k: 4 };

const cases: readonly Case[] = [
  { name: 'hierarchical', width: 16, settings: { objective: 'hierarchical' } },
  {
    name: 'hierarchical with budgets, D no multiple of 8',
    width: 19,
    settings: { objective: 'hierarchical', budgets: [2, 3, 4] },
  },
  { name: 'topk', width: 16, settings: { objective: 'topk' } },
  { name: 'batchtopk', width: 16, settings: { objective: 'batchtopk' } },
  { name: 'jumprelu', width: 19, settings: { objective: 'jumprelu' } },
  {
    name: 'jumprelu with a fixed coefficient',
    width: 16,
    settings: { objective: 'jumprelu', sparsityCoefficient: 0.7 },
  },
  {
    name: 'hierarchical, residual target',
    width: 16,
    settings: { objective: 'hierarchical', base },
  },
  { name: 'batchtopk, residual target', width: 16, settings: { objective: 'batchtopk', base } },
  {
    name: 'AuxK and decoder rows of length 1',
    width: 16,
    settings: { objective: 'topk', auxiliaryK: 3, unitDecoder: true },
  },
  {
    name: 'AuxK, residual target, batchtopk',
    width: 16,
    settings: { objective: 'batchtopk', auxiliaryK: 3, base },
  },
  {
    name: 'AuxK with fewer dead features than it may use',
    width: 16,
    settings: { objective: 'hierarchical', auxiliaryK: 30 },
  },
];

const common: TrainingSettings = {
  ...defaultSettings,
  ...{ hook: 'hook_embed', features: 40, k: 4, batch: 12, tokens: 120, threads: 1 },
  ...{ learningRate: 1e-2, weightDecay: 0.1, auxiliaryK: 0, deadTokens: 1000 },
};

/** How far a backend may be from float64, of the largest value. */
export interface Tolerances {
  readonly loss: number;
  readonly gradient: number;
  /** Of the weights after a step. */
  readonly weights: number;
  /** Of the weights after ten: Adam divides by what may be almost nothing. */
  readonly tenSteps: number;
}

const float32Tolerances: Tolerances = {
  loss: 2e-5,
  gradient: 5e-5,
  weights: 2e-4,
  tenSteps: 2e-3,
};

/** Holds a backend to the float64 reference. */
export function holdToReference(
  name: string,
  open: OpenBackend,
  tolerances: Tolerances = float32Tolerances,
): void {
  describe(`${name} against the float64 reference`, () => {
    after(() => {
      console.log(
        `${name}: ${Array.from(largest, ([what, off]) => `${what} ${off.toExponential(1)}`).join(', ')}`,
      );
      largest.clear();
    });
    for (const c of cases) {
      const request = { settings: { ...common, ...c.settings }, width: c.width };
      it(`${c.name}: ten AdamW steps, each gradient of each; and ten on end`, async () => {
        await withBackend(open(request), async backend => {
          const reference = new ReferenceTraining(request);
          for (let step = 1; step <= 10; step++) {
            place(backend, reference);
            await backend.upload();
            await compareStep(backend, reference, step, tolerances, request.settings);
          }
          await compareTenOnEnd(backend, new ReferenceTraining(request, 8), tolerances);
        });
      });
    }

    it('begins jumprelu with the threshold that lets B K activations fire', async () => {
      const settings = { ...common, objective: 'jumprelu', learningRate: 0 } as const;
      await withBackend(open({ settings, width: 16 }), async backend => {
        const reference = new ReferenceTraining({ settings, width: 16 });
        place(backend, reference);
        backend.sparsity.arrays['logThreshold.value']?.fill(-Infinity);
        await backend.upload();
        const { input } = reference.nextBatch();
        fill(backend.arrays, backend.arrays.input, input);
        await backend.encode();
        const largest = [...backend.arrays.values].sort((a, b) => b - a);
        const theta = largest[settings.batch * settings.k - 1] ?? NaN;
        await backend.step({ ...settings, step: 1 }, true);
        await backend.download();
        for (const log of backend.sparsity.arrays['logThreshold.value'] ?? [])
          close(log, Math.log(theta), 1e-6, 'log theta');
      });
    });
  });
}

async function compareStep(
  backend: TrainingBackend,
  reference: ReferenceTraining,
  step: number,
  tolerances: Tolerances,
  settings: TrainingSettings,
): Promise<void> {
  const { arrays, sparsity } = backend;
  const before = structuredClone(reference.first);
  const logBefore = Float64Array.from(reference.logThreshold[1]);
  const batch = reference.nextBatch();
  fill(arrays, arrays.input, batch.input);
  fill(arrays, arrays.target, batch.target);
  const expected = reference.step(batch, step);
  const found = await backend.step({ ...settings, step }, true);
  assert.ok(found, 'a result was asked for');
  close(found.loss, expected.loss, tolerances.loss, 'loss');
  close(found.squaredError, expected.squaredError, tolerances.loss, 'squared error');
  close(found.auxiliary, expected.auxiliary, tolerances.loss, 'auxiliary loss');
  assert.equal(found.dead, expected.dead, 'dead features');
  await backend.download();
  for (const name of parameterNames) {
    const [parameter, gradient, kept] = [arrays[name], expected.gradients[name], before[name]];
    if (!parameter || !gradient || !kept) continue;
    // The first moment is a tenth of the gradient more than nine tenths of itself: it shows the gradient.
    const shown = rows(arrays, parameter.firstMoment, gradient.length).map(
      (now, i) => (now - 0.9 * (kept[i] ?? NaN)) * 10,
    );
    closeArrays(shown, gradient, tolerances.gradient, `gradient of ${name}, step ${step}`);
  }
  const moment = sparsity.arrays['logThreshold.firstMoment'];
  if (expected.ofLogThreshold && moment) {
    const shown = Float64Array.from(moment, (now, f) => (now - 0.9 * (logBefore[f] ?? NaN)) * 10);
    assert.ok(expected.ofLogThreshold.some(g => g !== 0));
    closeArrays(shown, expected.ofLogThreshold, 4 * tolerances.gradient, 'gradient of log theta');
  }
  compareWeights(backend, reference, tolerances.weights, `step ${step}`);
}

async function compareTenOnEnd(
  backend: TrainingBackend,
  reference: ReferenceTraining,
  tolerances: Tolerances,
): Promise<void> {
  const { arrays } = backend;
  place(backend, reference);
  await backend.upload();
  for (let step = 1; step <= 10; step++) {
    const batch = reference.nextBatch();
    fill(arrays, arrays.input, batch.input);
    fill(arrays, arrays.target, batch.target);
    const expected = reference.step(batch, step);
    const found = await backend.step({ ...reference.settings, step }, step === 10);
    if (step < 10) continue;
    assert.ok(found, 'a result was asked for');
    close(found.loss, expected.loss, tolerances.tenSteps, 'loss');
    assert.equal(found.dead, expected.dead);
  }
  await backend.download();
  compareWeights(backend, reference, tolerances.tenSteps, 'after ten');
}

function compareWeights(
  { arrays, sparsity }: TrainingBackend,
  reference: ReferenceTraining,
  tolerance: number,
  when: string,
): void {
  for (const name of parameterNames) {
    const [parameter, expected] = [arrays[name], reference.parameters[name]];
    assert.equal(parameter === undefined, expected === undefined, name);
    if (!parameter || !expected) continue;
    const found = rows(arrays, parameter.value, expected.length);
    closeArrays(found, expected, tolerance, `${name}, ${when}`);
  }
  assert.deepEqual([...arrays.sinceFired], [...reference.sinceFired], `since fired, ${when}`);
  const { threshold, sparsity: scalars, 'logThreshold.value': log } = sparsity.arrays;
  if (threshold) close(threshold[0] ?? NaN, reference.threshold, tolerance, 'threshold');
  if (scalars) closeArrays(scalars, reference.scalars, tolerance, 'base of lambda, epsilon');
  if (log) closeArrays(log, reference.logThreshold[0], 10 * tolerance, `log theta, ${when}`);
}

/** Gives a backend the reference's numbers. */
function place({ arrays, sparsity }: TrainingBackend, reference: ReferenceTraining): void {
  for (const name of parameterNames) {
    const parameter = arrays[name];
    const [value, first, second] = [
      reference.parameters[name],
      reference.first[name],
      reference.second[name],
    ];
    if (!parameter || !value || !first || !second) continue;
    fill(arrays, parameter.value, value);
    fill(arrays, parameter.firstMoment, first);
    fill(arrays, parameter.secondMoment, second);
  }
  arrays.sinceFired.set(reference.sinceFired);
  const { threshold, sparsity: scalars } = sparsity.arrays;
  threshold?.set([reference.threshold]);
  scalars?.set(reference.scalars);
  ['value', 'firstMoment', 'secondMoment'].forEach((part, i) =>
    sparsity.arrays[`logThreshold.${part}`]?.set(reference.logThreshold[i] ?? []),
  );
}

async function withBackend<T extends TrainingBackend>(
  opening: Promise<T>,
  check: (backend: T) => Promise<void>,
): Promise<void> {
  const backend = await opening;
  try {
    await check(backend);
  } finally {
    await backend.dispose();
  }
}

/** Copies rows of D into rows of the stride; a plain vector as it is. */
function fill({ shape, stride }: TrainingArrays, to: Float32Array, from: Float64Array): void {
  const { width } = shape;
  if (to.length === from.length) to.set(from);
  else
    for (let r = 0; r * width < from.length; r++)
      to.set(from.subarray(r * width, (r + 1) * width), r * stride);
}

/** Rows of D out of rows of the stride. */
function rows(
  { shape: { width }, stride }: TrainingArrays,
  from: Float32Array,
  length: number,
): Float64Array {
  if (from.length === length) return Float64Array.from(from);
  return Float64Array.from(
    { length },
    (_, i) => from[Math.floor(i / width) * stride + (i % width)] ?? NaN,
  );
}

/** The largest relative differences that were seen, by what they are of. */
const largest = new Map<string, number>();

function note(what: string, off: number): void {
  const kind = what.replace(/,.*/, '');
  largest.set(kind, Math.max(largest.get(kind) ?? 0, off));
}

function close(found: number, expected: number, tolerance: number, what: string): void {
  const allowed = tolerance * Math.max(1, Math.abs(expected));
  note(what, Math.abs(found - expected) / Math.max(1, Math.abs(expected)));
  assert.ok(Math.abs(found - expected) <= allowed, `${what}: ${found}, expected ${expected}`);
}

function closeArrays(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  let [worst, most] = [0, 1e-3];
  for (let i = 0; i < expected.length; i++) {
    const off = Math.abs((found[i] ?? NaN) - (expected[i] ?? NaN));
    worst = Math.max(worst, off); // NaN stays
    most = Math.max(most, Math.abs(expected[i] ?? NaN));
  }
  assert.equal(found.length, expected.length, what);
  note(what, worst / most);
  assert.ok(worst <= tolerance * most, `${what}: off by ${worst}, largest ${most}`);
}
