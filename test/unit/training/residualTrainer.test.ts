import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { Failure } from '../../../src/common/failure.ts';
import { Random } from '../../../src/common/random.ts';
import { reconstruct } from '../../../src/saes/reconstruct.ts';
import { excludedTokens } from '../../../src/saes/tokenPolicy.ts';
import { budgetsOf, candidatesOf } from '../../../src/training/objective.ts';
import {
  referenceLoss,
  type ReferenceParameters,
} from '../../../src/training/reference/reference.ts';
import { batchTopKReference } from '../../../src/training/reference/referenceThresholds.ts';
import type { TrainingSettings } from '../../../src/training/settings.ts';
import { Trainer } from '../../../src/training/trainer.ts';
import { openPlainBackend } from './plainBackend.ts';
import { ToyErrors, toyResidualSettings } from './toy.ts';

const D = 16;
let root: string;
let folder: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'loupe-residual-trainer-'));
});
after(() => rm(root, { recursive: true, force: true }));
beforeEach(async () => {
  folder = await mkdtemp(join(root, 'run-'));
});

function open(changes: Partial<TrainingSettings> = {}, inFolder = folder): Promise<Trainer> {
  return Trainer.open({
    settings: { ...toyResidualSettings, ...changes },
    source: new ToyErrors(),
    folder: inFolder,
    openBackend: openPlainBackend,
  });
}

const names = ['encoder', 'encoderBias', 'decoder'] as const;

function parameters({ backend }: Trainer): ReferenceParameters {
  const [encoder, encoderBias, decoder] = names.map(name =>
    Float64Array.from(backend.arrays[name].value),
  );
  if (!encoder || !encoderBias || !decoder) throw new Error('no parameters');
  return { encoder, encoderBias, decoder, decoderBias: undefined };
}

const description = { name: 'toy', model: undefined, provenance: {} };

describe('Trainer of a residual SAE', () => {
  for (const deadTokens of [256, 0]) {
    it(`takes the step of the reference, whose gradients are finite differences${deadTokens === 0 ? ', with AuxK' : ''}`, async () => {
      const trainer = await open({ tokens: 64, deadTokens });
      try {
        const p = parameters(trainer);
        let loss = NaN;
        await trainer.run({
          report: progress => {
            loss = progress.loss;
          },
        });
        const { settings } = trainer;
        const kernel = trainer.backend.arrays;
        assert.equal(kernel.stride, D);
        assert.equal(kernel.decoderBias, undefined);
        const batch = {
          input: Float64Array.from(kernel.input),
          target: Float64Array.from(kernel.target),
          batch: 64,
        };
        assert.notDeepEqual(batch.input, batch.target);
        const k = candidatesOf('batchtopk', settings.k, settings.features);
        const dead = deadTokens === 0 ? Array.from({ length: settings.features }, (_, f) => f) : [];
        const objective = {
          features: settings.features,
          width: D,
          k,
          budgets: budgetsOf('batchtopk', k),
          select: (e: Parameters<typeof batchTopKReference>[0]) =>
            batchTopKReference(e, 64 * settings.k),
          auxiliary: { coefficient: settings.auxiliaryCoefficient, k: settings.auxiliaryK, dead },
        };
        const expected = referenceLoss(p, batch, objective);
        close(loss, expected.loss, 1e-5, 'loss');
        const random = new Random(4);
        for (const name of names) {
          // After one step from 0, the first moment is a tenth of the gradient.
          const { firstMoment } = kernel[name];
          const gradient = expected.gradients[name];
          const scale = Math.max(...gradient.map(Math.abs));
          for (let i = 0; i < gradient.length; i++) {
            const found = 10 * (firstMoment[i] ?? NaN);
            assert.ok(
              Math.abs(found - (gradient[i] ?? NaN)) < 2e-5 * scale,
              `${name}[${i}]: ${found}, expected ${gradient[i] ?? NaN}`,
            );
          }
          for (let trial = 0; trial < 10; trial++) {
            const i = random.below(gradient.length);
            const total = (at: number): number => {
              const changed = { ...p, [name]: p[name].with(i, (p[name][i] ?? NaN) + at) };
              const now = referenceLoss(changed, batch, objective, expected.residual);
              return now.loss + objective.auxiliary.coefficient * now.auxiliary;
            };
            close((total(1e-6) - total(-1e-6)) / 2e-6, gradient[i] ?? NaN, 1e-5, `${name}[${i}]`);
          }
        }
      } finally {
        await trainer.dispose();
      }
    });
  }

  it('learns the target: the error that is left is smaller than what there was without it', async () => {
    const trainer = await open({ tokens: 64 * 400, learningRate: 1e-2 });
    try {
      const rows = trainer.rowsOf(await new ToyErrors().read(0, 20));
      await trainer.run();
      const { ev, evOfNothing } = await trainer.measure(rows);
      const [trained = NaN] = ev.values();
      assert.ok(1 - trained < 0.5 * (1 - evOfNothing), `${trained} after ${evOfNothing}`);
    } finally {
      await trainer.dispose();
    }
  });

  it("says of nothing the base's explained variance: 1 - |target|^2 / |x - mean|^2", async () => {
    const trainer = await open();
    try {
      const windows = await new ToyErrors().read(0, 20);
      const { policy } = trainer.snapshot.statistics;
      let [error, squares, tokens] = [0, 0, 0];
      const sum = new Float64Array(D);
      for (const { activations: x, target = new Float32Array(0) } of windows) {
        excludedTokens(x, D, true, policy).forEach((excluded, t) => {
          if (excluded === 1) return;
          tokens++;
          for (let i = 0; i < D; i++) {
            error += (target[t * D + i] ?? NaN) ** 2;
            squares += (x[t * D + i] ?? NaN) ** 2;
            sum[i] = (sum[i] ?? NaN) + (x[t * D + i] ?? NaN);
          }
        });
      }
      const variation = squares - sum.reduce((total, s) => total + s * s, 0) / tokens;
      const { evOfNothing } = await trainer.measure(trainer.rowsOf(windows));
      close(evOfNothing, 1 - error / variation, 1e-5, 'EV of nothing');
    } finally {
      await trainer.dispose();
    }
  });

  it('gives a dictionary that says exactly 0 where nothing fires, and names its base', async () => {
    const trainer = await open();
    try {
      await trainer.run();
      const dictionary = trainer.dictionary(description);
      assert.equal(dictionary.decoderBias, undefined);
      assert.deepEqual(dictionary.base, toyResidualSettings.base);
      const silent = { k: 3, features: new Uint32Array(6), activations: new Float32Array(6) };
      const output = reconstruct(dictionary, silent, 3);
      assert.equal(output.length, 2 * D);
      assert.ok(output.every(value => Object.is(value, 0)));
    } finally {
      await trainer.dispose();
    }
  });

  it('gives back errors in the scale of the target', async () => {
    const trainer = await open({ tokens: 64 * 300, learningRate: 1e-2 });
    try {
      await trainer.run();
      const windows = await new ToyErrors().read(0, 20);
      const { ev } = await trainer.measure(trainer.rowsOf(windows));
      const d = trainer.dictionary(description);
      const theta = d.rule.kind === 'jumprelu' ? d.rule.threshold : assert.fail(d.rule.kind);
      let [error, squares, tokens] = [0, 0, 0];
      const sum = new Float64Array(D);
      for (const { activations, target = new Float32Array(0) } of windows) {
        excludedTokens(activations, D, true, d.tokenPolicy).forEach((excluded, t) => {
          if (excluded === 1) return;
          tokens++;
          const x = activations.subarray(t * D, (t + 1) * D);
          const left = Float64Array.from(target.subarray(t * D, (t + 1) * D));
          for (let f = 0; f < d.width; f++) {
            let h = d.encoderBias[f] ?? NaN;
            x.forEach((v, i) => (h += v * (d.encoder[f * D + i] ?? NaN)));
            if (!(h > (theta[f] ?? NaN))) continue;
            for (let i = 0; i < D; i++)
              left[i] = (left[i] ?? NaN) - h * (d.decoder[f * D + i] ?? NaN);
          }
          error += left.reduce((total, e) => total + e * e, 0);
          x.forEach((v, i) => {
            squares += v * v;
            sum[i] = (sum[i] ?? NaN) + v;
          });
        });
      }
      const variation = squares - sum.reduce((total, s) => total + s * s, 0) / tokens;
      const [measured = NaN] = ev.values();
      close(measured, 1 - error / variation, 1e-4, 'explained variance');
    } finally {
      await trainer.dispose();
    }
  });

  it('stopped, measured on and taken up again, gives the bits of an uninterrupted run', async () => {
    const bits = async (trainer: Trainer): Promise<object> => {
      try {
        await trainer.run();
        const arrays = names.flatMap(name => {
          const { value, firstMoment, secondMoment } = trainer.backend.arrays[name];
          return [value, firstMoment, secondMoment].map(array => Float32Array.from(array));
        });
        return { arrays, rule: trainer.dictionary(description).rule };
      } finally {
        await trainer.dispose();
      }
    };
    const whole = await bits(await open({}, await mkdtemp(join(root, 'whole-'))));
    const first = await open();
    const abort = new AbortController();
    const rows = first.rowsOf(await new ToyErrors().read(0, 3));
    const stopped = first.run({
      signal: abort.signal,
      afterStep: async step => {
        if (step % 5 === 0) await first.measure(rows);
        if (step === 17) abort.abort();
      },
    });
    await assert.rejects(stopped, error => Failure.is(error, 'cancelled'));
    await first.dispose();
    assert.deepEqual(await bits(await open()), whole);
  });

  it('does not go on with another base or another text', async () => {
    const trainer = await open({ textHash: 'one' });
    await trainer.run();
    await trainer.dispose();
    const refused = (changes: Partial<TrainingSettings>, says: RegExp) =>
      assert.rejects(open({ textHash: 'one', ...changes }), error => {
        assert.ok(Failure.is(error, 'mismatch'));
        return says.test(error.message);
      });
    await refused({ base: { name: 'toy base', hash: 'abd', k: 4 } }, /with base = /);
    await refused({ textHash: 'two' }, /on another text\.$/);
  });
});

function close(found: number, expected: number, distance: number, what: string): void {
  const off = Math.abs(found - expected);
  assert.ok(off <= distance * (1 + Math.abs(expected)), `${what}: ${found}, expected ${expected}`);
}
