import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, mock } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import { findCheckpoint } from '../../src/training/checkpoint.ts';
import { GraphSessions } from '../../src/engine/training/graphSessions.ts';
import { GraphBackend, type GraphBackendOptions } from '../../src/engine/training/graphBackend.ts';
import { Session } from '../../src/engine/sessions/session.ts';
import { openKernelBackend } from '../../src/engine/training/trainingBackends.ts';
import type { OpenBackend } from '../../src/training/backend.ts';
import type { TrainingSettings } from '../../src/training/settings.ts';
import { Trainer } from '../../src/training/trainer.ts';
import {
  ToyActivations,
  ToyErrors,
  toyResidualSettings,
  toySettings,
} from '../unit/training/toy.ts';
import { useSoftwareGpu } from './softwareGpu.ts';

const missing = useSoftwareGpu();
let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'loupe-graph-backend-'));
});
after(() => rm(root, { recursive: true, force: true }));

const on =
  (options: GraphBackendOptions): OpenBackend =>
  request =>
    GraphBackend.open(request, options);

interface Run {
  readonly settings: TrainingSettings;
  readonly openBackend: OpenBackend;
  readonly folder?: string;
  readonly stopAfter?: number;
  readonly curveSteps?: number;
  readonly heldOutSteps?: number;
}

/** The weights of the toy's training, after all its steps or so many. */
async function trained({
  settings,
  openBackend,
  folder,
  stopAfter,
  curveSteps = 1000,
  heldOutSteps = 0,
}: Run): Promise<Float32Array> {
  const source = settings.base ? new ToyErrors() : new ToyActivations();
  const trainer = await Trainer.open({
    ...{ settings, source, openBackend },
    folder: folder ?? (await mkdtemp(join(root, 'run-'))),
  });
  try {
    const abort = new AbortController();
    const report = ({ step }: { readonly step: number }): void => {
      if (step === stopAfter) abort.abort();
    };
    const options = { report, signal: abort.signal, curveSteps, heldOutSteps };
    await trainer.run(options).catch((error: unknown) => {
      if (!Failure.is(error, 'cancelled')) throw error;
    });
    const { encoder, decoder } = trainer.dictionary({
      ...{ name: 'toy', model: undefined, provenance: {} },
    });
    return Float32Array.of(...encoder, ...decoder);
  } finally {
    await trainer.dispose();
  }
}

/** The largest difference, of the largest value. */
function difference(found: Float32Array, expected: Float32Array): number {
  assert.equal(found.length, expected.length);
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return (
    found.reduce((most, value, i) => Math.max(most, Math.abs(value - (expected[i] ?? NaN))), 0) /
    largest
  );
}

describe('GraphBackend', () => {
  for (const objective of ['hierarchical', 'topk', 'batchtopk', 'jumprelu'] as const) {
    const settings = { ...toySettings, objective };
    it(`trains as the kernel does: ${objective}`, async () => {
      const expected = await trained({ settings, openBackend: openKernelBackend });
      const found = await trained({ settings, openBackend: on({ device: 'cpu' }) });
      const inLoops = await trained({
        settings,
        openBackend: on({ device: 'cpu', holdsTensors: false }),
      });
      // What fires by a threshold fires or not: a rounding can tell.
      const tolerance = objective === 'jumprelu' ? 2e-2 : 1e-3;
      assert.ok(difference(found, expected) < tolerance, `off by ${difference(found, expected)}`);
      assert.ok(difference(inLoops, found) < 1e-5, `off by ${difference(inLoops, found)}`);
    });
  }

  it('goes on from a checkpoint of the kernel, and the kernel from its', async () => {
    const settings = { ...toyResidualSettings, auxiliaryK: 2 };
    const whole = await trained({ settings, openBackend: openKernelBackend });
    const folder = await mkdtemp(join(root, 'both-'));
    const kernel = { settings, folder, openBackend: openKernelBackend };
    const graph = { ...kernel, openBackend: on({ device: 'cpu', holdsTensors: false }) };
    await trained({ ...kernel, stopAfter: 7 });
    await trained({ ...graph, stopAfter: 26 });
    const found = await trained(kernel);
    assert.ok(difference(found, whole) < 1e-3, `off by ${difference(found, whole)}`);
  });

  it('takes a step in more parts where memory runs out, says so, and gets the same', async () => {
    const expected = await trained({ settings: toySettings, openBackend: on({ device: 'cpu' }) });
    for (const objective of ['hierarchical', 'batchtopk', 'jumprelu'] as const) {
      const settings = { ...toySettings, objective, auxiliaryK: 2 };
      const whole = await trained({ settings, openBackend: on({ device: 'cpu' }) });
      const warnings: string[] = [];
      const warn = (message: string) => void warnings.push(message);
      const failing = failOn('rate', 5, new Failure('out-of-memory', 'no room'), 2);
      try {
        const found = await trained({ settings, openBackend: on({ device: 'cpu', warn }) });
        assert.ok(difference(found, whole) < 1e-4, `off by ${difference(found, whole)}`);
      } finally {
        failing.mock.restore();
      }
      assert.equal(warnings.length, 2);
      assert.match(String(warnings[0]), /out of memory.* 32 tokens at a time/);
      assert.match(String(warnings[1]), /16 tokens at a time/);
    }
    assert.ok(expected.every(Number.isFinite));
  });

  for (const [what, name, openBackend] of [
    ['a step', 'rate', on({ device: 'cpu' })],
    ['a step in a loop', 'rate', on({ device: 'cpu', holdsTensors: false })],
    ['a measurement', 'encoderBias.value', on({ device: 'cpu' })],
  ] as const) {
    it(`fails with device-lost where the device does in ${what}, having lost no checkpoint`, async () => {
      const settings = { ...toySettings };
      const folder = await mkdtemp(join(root, 'lost-'));
      const whole = await trained({ settings, openBackend: openKernelBackend });
      await trained({ settings, folder, openBackend, stopAfter: 10 });
      const lost = new Failure('internal', 'the device was lost');
      // The encoder's bias is fed with steps too: ten of them come before the measurement.
      const failing = failOn(name, name === 'rate' ? 2 : 11, lost);
      try {
        const run = trained({ settings, folder, openBackend, heldOutSteps: 20 });
        await assert.rejects(run, (error: unknown) => Failure.is(error, 'device-lost'));
      } finally {
        failing.mock.restore();
      }
      const found = await trained({ settings, folder, openBackend: openKernelBackend });
      assert.ok(difference(found, whole) < 1e-3);
    });
  }

  it('finds candidates in more parts too where memory runs out', async () => {
    const settings = { ...toySettings, objective: 'jumprelu' } as const;
    const whole = await trained({ settings, openBackend: on({ device: 'cpu' }) });
    const warnings: string[] = [];
    const warn = (message: string) => void warnings.push(message);
    // The first run of all is that of the candidates which jumprelu begins with.
    const failing = failOn('encoderBias.value', 1, new Failure('out-of-memory', 'no room'), 2);
    try {
      const found = await trained({ settings, openBackend: on({ device: 'cpu', warn }) });
      assert.ok(difference(found, whole) < 1e-4, `off by ${difference(found, whole)}`);
    } finally {
      failing.mock.restore();
    }
    assert.deepEqual(
      warnings.map(warning => /\d+ tokens/.exec(warning)?.[0]),
      ['32 tokens', '16 tokens'],
    );
  });

  it('fails with device-lost where there is no room for smaller parts either', async () => {
    const full = new Failure('out-of-memory', 'no room');
    const failing = failOn('rate', 1, full, 1000);
    try {
      const run = trained({ settings: toySettings, openBackend: on({ device: 'cpu' }) });
      await assert.rejects(run, (error: unknown) => Failure.is(error, 'device-lost'));
    } finally {
      failing.mock.restore();
    }
  });

  it('knows every loss of the curve, also after it was taken up between two reads', async () => {
    const settings = { ...toySettings };
    const folder = await mkdtemp(join(root, 'curve-'));
    const openBackend = on({ device: 'cpu', holdsTensors: false });
    await trained({ settings, folder, openBackend, stopAfter: 21, curveSteps: 5 });
    await trained({ settings, folder, openBackend, curveSteps: 5 });
    const curve = (await findCheckpoint(folder))?.state.curve ?? [];
    assert.deepEqual(
      curve.map(({ step }) => step),
      [5, 10, 15, 20, 25, 30, 35, 40],
    );
    assert.ok(curve.every(({ loss, ev }) => Number.isFinite(loss) && Number.isFinite(ev)));
  });

  it('opens one session for loops of any length', async () => {
    const opened = mock.method(GraphSessions.prototype, 'of');
    try {
      const openBackend = on({ device: 'cpu', holdsTensors: false });
      await trained({ settings: { ...toySettings, auxiliaryK: 0 }, openBackend, curveSteps: 3 });
      const names = new Set(opened.mock.calls.map(call => call.arguments[0]));
      assert.deepEqual([...names], ['step']);
    } finally {
      opened.mock.restore();
    }
  });

  it('reads results rarely, and whenever they are asked for', async () => {
    const backend = await GraphBackend.open(
      { settings: toySettings, width: 16 },
      { device: 'cpu', holdsTensors: false },
    );
    const runs = mock.method(Session.prototype, 'run');
    try {
      const options = { ...toySettings, step: 1 };
      for (let step = 1; step < backend.readSteps; step++)
        assert.equal(await backend.step({ ...options, step }, false), undefined);
      assert.equal(runs.mock.callCount(), 0);
      assert.ok(await backend.step({ ...options, step: backend.readSteps }, true));
      assert.equal(runs.mock.callCount(), 1);
    } finally {
      runs.mock.restore();
      await backend.dispose();
    }
  });

  it(
    'takes no step twice where memory runs out while its result is read',
    { skip: missing },
    async () => {
      const full = new Failure('out-of-memory', 'no room');
      const failing = failOn('results', 1, full);
      const steps = mock.method(GraphSessions.prototype, 'of');
      try {
        const run = trained({ settings: toySettings, openBackend: on({ device: 'webgpu' }) });
        await assert.rejects(run, (error: unknown) => Failure.is(error, 'device-lost'));
        const taken = steps.mock.calls.filter(call => call.arguments[0] === 'step');
        assert.equal(taken.length, 2); // at opening, and for the one step
      } finally {
        failing.mock.restore();
        steps.mock.restore();
      }
    },
  );

  it('trains on WebGPU as on the CPU', { skip: missing }, async () => {
    const settings = { ...toySettings, tokens: 64 * 20 };
    const expected = await trained({ settings, openBackend: openKernelBackend });
    const found = await trained({ settings, openBackend: on({ device: 'webgpu' }) });
    assert.ok(difference(found, expected) < 1e-3, `off by ${difference(found, expected)}`);
  });
});

/** Lets the given run that is fed with `name`, counted from 1, and those after it fail so many times. */
function failOn(name: string, first: number, failure: Failure, times = 1) {
  const run = Object.getOwnPropertyDescriptor(Session.prototype, 'run')?.value as Session['run'];
  let count = 0;
  return mock.method(Session.prototype, 'run', function (this: Session, ...given) {
    const isMeant = given[0][name] !== undefined;
    if (isMeant) count++;
    if (isMeant && count >= first && count < first + times) return Promise.reject(failure);
    return run.apply(this, given);
  } as Session['run']);
}
