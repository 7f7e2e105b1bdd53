import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Failure } from '../../../src/common/failure.ts';
import { Gate } from '../../../src/common/gate.ts';
import { findCheckpoint } from '../../../src/training/checkpoint.ts';
import type { TrainingSettings } from '../../../src/training/settings.ts';
import { Trainer, type TrainerParts } from '../../../src/training/trainer.ts';
import { openPlainBackend } from './plainBackend.ts';
import { ToyActivations, toySettings } from './toy.ts';

let root: string;
let folder: string;

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'loupe-trainer-'));
});
after(() => rm(root, { recursive: true, force: true }));
beforeEach(async () => {
  folder = await mkdtemp(join(root, 'run-'));
});

function parts(
  settings: Partial<TrainingSettings> = {},
  more: Partial<TrainerParts> = {},
): TrainerParts {
  return {
    settings: { ...toySettings, ...settings },
    source: new ToyActivations(),
    folder,
    openBackend: openPlainBackend,
    ...more,
  };
}

/** Every bit that a training leaves behind. */
async function trained(given: TrainerParts): Promise<object> {
  const trainer = await Trainer.open(given);
  try {
    await trainer.run();
    return bitsOf(trainer);
  } finally {
    await trainer.dispose();
  }
}

function bitsOf(trainer: Trainer): object {
  const { backend, snapshot } = trainer;
  const { encoder, decoder, encoderBias, decoderBias, sinceFired } = backend.arrays;
  const { rule } = trainer.dictionary({ name: 'toy', model: undefined, provenance: {} });
  const arrays = [encoder, decoder, encoderBias, decoderBias].flatMap(p =>
    p ? [p.value, p.firstMoment, p.secondMoment].map(array => Float32Array.from(array)) : [],
  );
  // The clock is no part of the result.

  return {
    ...{ arrays, rule },
    since: Uint32Array.from(sinceFired),
    state: { ...snapshot, seconds: 0 },
  };
}

/** Runs until a step is taken, saves and stops. */
async function stopAfter(trainer: Trainer, last: number): Promise<void> {
  const abort = new AbortController();
  const report = ({ step }: { readonly step: number }): void => {
    if (step === last) abort.abort();
  };
  await assert.rejects(trainer.run({ signal: abort.signal, report }), error =>
    Failure.is(error, 'cancelled'),
  );
}

describe('Trainer', () => {
  it('finds the directions that the activations are made of', async () => {
    const source = new ToyActivations(400);
    const trainer = await Trainer.open(
      parts({ tokens: 64 * 1500, learningRate: 1e-2, features: 32 }, { source }),
    );
    try {
      await trainer.run();
      const { ev } = await trainer.measureHeldOut();
      const { decoder, inputWidth, width } = trainer.dictionary({
        name: 'toy',
        model: undefined,
        provenance: {},
      });
      let found = 0;
      for (const direction of source.directions) {
        let best = 0;
        for (let f = 0; f < width; f++) {
          const row = decoder.subarray(f * inputWidth, (f + 1) * inputWidth);
          const product = row.reduce((sum, w, i) => sum + w * (direction[i] ?? NaN), 0);
          best = Math.max(best, product / Math.hypot(...row));
        }
        if (best > 0.9) found++;
      }
      assert.ok((ev.get(3) ?? 0) > 0.8, `explained variance ${ev.get(3) ?? 0}`);
      assert.ok(found >= 0.8 * source.features, `${found} of ${source.features} directions found`);
    } finally {
      await trainer.dispose();
    }
  });

  it('gives a dictionary in the scale of the activations', async () => {
    const trainer = await Trainer.open(parts({ tokens: 64 * 300, learningRate: 1e-2 }));
    try {
      await trainer.run();
      const { ev } = await trainer.measureHeldOut();
      const d = trainer.dictionary({ name: 'toy', model: undefined, provenance: {} });
      const x = new ToyActivations().read(0, 60);
      let error = 0;
      let total = 0;
      for (const { activations } of await x) {
        for (let t = 0; t < 16; t++) {
          const row = activations.subarray(t * 16, (t + 1) * 16);
          const ranked = Array.from(d.encoderBias, (bias, f) => ({
            f,
            value: row.reduce((sum, v, i) => sum + v * (d.encoder[f * 16 + i] ?? NaN), bias),
          })).sort((a, b) => b.value - a.value);
          row.forEach((v, i) => {
            const reconstruction = ranked
              .slice(0, 3)
              .reduce(
                (sum, { f, value }) => sum + Math.max(0, value) * (d.decoder[f * 16 + i] ?? NaN),
                d.decoderBias?.[i] ?? NaN,
              );
            error += (v - reconstruction) ** 2;
            total += (v - (trainer.snapshot.statistics.mean[i] ?? NaN)) ** 2;
          });
        }
      }
      assert.ok(
        Math.abs(1 - error / total - (ev.get(3) ?? NaN)) < 0.08,
        `${1 - error / total} and ${ev.get(3) ?? NaN}`,
      );
    } finally {
      await trainer.dispose();
    }
  });

  for (const stopAt of [1, 13, 29]) {
    it(`stopped after step ${stopAt} and taken up again, gives the bits of an uninterrupted run`, async () => {
      const whole = await trained(parts({}, { folder: await mkdtemp(join(root, 'whole-')) }));
      const first = await Trainer.open(parts());
      await stopAfter(first, stopAt);
      await first.dispose();
      const second = await Trainer.open(parts());
      assert.equal(second.step, stopAt);
      await second.dispose();
      assert.deepEqual(await trained(parts()), whole);
    });
  }

  it('killed in the middle of a step, gives the bits of an uninterrupted run when run again', async () => {
    const whole = await trained(parts({}, { folder: await mkdtemp(join(root, 'whole-')) }));
    const script = fileURLToPath(new URL('./trainAndHang.ts', import.meta.url));
    const child = spawn(process.execPath, ['--import', 'tsx', script, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = new Promise(resolve => child.once('exit', (_, signal) => resolve(signal)));
    await new Promise<void>((resolve, reject) => {
      child.stdout.once('data', () => resolve());
      child.once('exit', () => reject(new Error('the child ended before it trained')));
    });
    child.kill('SIGKILL');
    assert.equal(await exited, 'SIGKILL');
    const found = await findCheckpoint(folder);
    assert.ok(
      found && found.state.step > 0 && found.state.step < 40,
      `step ${found?.state.step ?? 0}`,
    );
    assert.deepEqual(await trained(parts()), whole);
  });

  it('keeps training state and the last checkpoint when the disk is full', async () => {
    const whole = await trained(parts({}, { folder: await mkdtemp(join(root, 'whole-')) }));
    const first = await Trainer.open(parts());
    await stopAfter(first, 10);
    await first.dispose();
    const full = new Failure('no-space', 'The disk is full.');
    const second = await Trainer.open(parts({}, { writeCheckpoint: () => Promise.reject(full) }));
    await assert.rejects(second.run(), error => error === full);
    assert.deepEqual(bitsOf(second), whole);
    await second.dispose();
    assert.equal((await findCheckpoint(folder))?.state.step, 10);
  });

  it('keeps a good checkpoint where the weights are no numbers any more', async () => {
    const trainer = await Trainer.open(parts());
    try {
      await trainer.save();
      trainer.backend.arrays.encoderBias.value[3] = NaN;
      await assert.rejects(trainer.save(), /no longer a number/);
    } finally {
      await trainer.dispose();
    }
    assert.equal((await findCheckpoint(folder))?.state.step, 0);
  });

  it('falls back on the older checkpoint when the newer one is damaged', async () => {
    const trainer = await Trainer.open(parts());
    await stopAfter(trainer, 10);
    await trainer.run({ checkpointSeconds: 1e9 });
    await trainer.dispose();
    const newest = await findCheckpoint(folder);
    assert.equal(newest?.state.step, 40);
    await writeFile(newest.file.path, 'not a checkpoint');
    assert.equal((await findCheckpoint(folder))?.state.step, 10);
  });

  it('refuses to go on with other settings, but takes another length', async () => {
    await trained(parts());
    await assert.rejects(Trainer.open(parts({ learningRate: 1 })), error =>
      Failure.is(error, 'mismatch'),
    );
    const longer = await Trainer.open(parts({ tokens: 64 * 50 }));
    assert.equal(longer.steps, 50);
    await longer.dispose();
  });

  it('holds while paused', async () => {
    const trainer = await Trainer.open(parts());
    const steps: number[] = [];
    const gate = new Gate();
    gate.close();
    const run = trainer.run({ gate, report: ({ step }) => steps.push(step) });
    await new Promise(resolve => setTimeout(resolve, 200));
    assert.deepEqual(steps, [1]);
    assert.equal((await findCheckpoint(folder))?.state.step, 1);
    gate.open();
    await run;
    assert.equal(steps.length, 40);
    await trainer.dispose();
  });

  it('ends at once when cancelled while paused', async () => {
    const trainer = await Trainer.open(parts());
    const gate = new Gate();
    gate.close();
    const stop = new AbortController();
    const run = trainer.run({ gate, signal: stop.signal });
    await new Promise(resolve => setTimeout(resolve, 100));
    stop.abort();
    await assert.rejects(run, error => Failure.is(error, 'cancelled'));
    await trainer.dispose();
  });

  it('says that there is too little text instead of running on', async () => {
    const trainer = await Trainer.open(parts({ batch: 4096, tokens: 8192 }));
    await assert.rejects(trainer.run(), error => Failure.is(error, 'empty'));
    await trainer.dispose();
  });

  for (const objective of ['batchtopk', 'jumprelu'] as const) {
    it(`trains ${objective}: a dictionary with thresholds that lets about K features fire`, async () => {
      const settings = { objective, tokens: 64 * 600, learningRate: 1e-2, features: 32 };
      const trainer = await Trainer.open(parts(settings, { source: new ToyActivations(400) }));
      try {
        await trainer.run();
        const { ev, l0 } = await trainer.measureHeldOut();
        assert.ok(l0 > 2.4 && l0 < 3.6, `L0 ${l0}`);
        assert.ok((ev.get(3) ?? 0) > 0.7, `explained variance ${ev.get(3) ?? 0}`);
        const { rule } = trainer.dictionary({ name: 'toy', model: undefined, provenance: {} });
        assert.ok(rule.kind === 'jumprelu' && rule.threshold.every(theta => theta > 0));
        const thresholds = new Set(rule.threshold).size;
        assert.ok(objective === 'batchtopk' ? thresholds === 1 : thresholds > 16);
      } finally {
        await trainer.dispose();
      }
    });

    it(`stopped and taken up again, ${objective} gives the bits of an uninterrupted run`, async () => {
      const given = { objective };
      const whole = await trained(parts(given, { folder: await mkdtemp(join(root, 'whole-')) }));
      const first = await Trainer.open(parts(given));
      await stopAfter(first, 13);
      await first.dispose();
      assert.deepEqual(await trained(parts(given)), whole);
    });
  }

  it('lets more fire at a smaller coefficient of sparsity', async () => {
    const l0: number[] = [];
    for (const sparsityCoefficient of [0.01, 3]) {
      const trainer = await Trainer.open(
        parts(
          { objective: 'jumprelu', tokens: 64 * 100, sparsityCoefficient },
          { folder: await mkdtemp(join(root, 'coefficient-')) },
        ),
      );
      await trainer.run();
      l0.push((await trainer.measureHeldOut()).l0);
      await trainer.dispose();
    }
    assert.ok((l0[0] ?? 0) > (l0[1] ?? 0) + 0.5, l0.join(', '));
  });
});
