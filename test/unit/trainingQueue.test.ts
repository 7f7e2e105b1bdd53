import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import type { DeviceChoice } from '../../src/contracts/engine.ts';
import {
  extendCurve,
  parseJob,
  type TrainingJob,
  type TrainingTask,
} from '../../src/editor/trainingJob.ts';
import { TrainingQueue } from '../../src/editor/trainingQueue.ts';
import { TrainingStore } from '../../src/editor/trainingStore.ts';
import { boostProgress, boostRequest, FakeTrainer } from './fakes/trainer.ts';

const folder = mkdtempSync(join(tmpdir(), 'loupe-queue-'));
let storage: string;
let trainers: FakeTrainer[];
let done: string[];
let failed: string[];
let logged: string[];
/** The device of each trainer's job. */
let startedFor: (DeviceChoice | undefined)[];
let now: number;
const windows: TrainingQueue[] = [];

after(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  storage = mkdtempSync(join(folder, 'storage-'));
  [trainers, done, failed, logged, now] = [[], [], [], [], 1_000_000];
  startedFor = [];
});
afterEach(() => {
  for (const queue of windows.splice(0)) queue.dispose();
});

/** A window that opens the workspace: whatever its files hold is taken up. */
async function openWindow(): Promise<{ queue: TrainingQueue; store: TrainingStore }> {
  const log = (message: string): unknown => logged.push(message);
  const store = new TrainingStore(join(storage, 'trainings'), message => void log(message));
  const queue = new TrainingQueue({
    store,
    startTrainer: ({ device }) => {
      startedFor.push(device);
      const trainer = new FakeTrainer();
      trainers.push(trainer);
      return trainer;
    },
    onChange: () => undefined,
    onDone: ({ name, report }) => {
      const path = queue.all.find(job => job.request.name === name)?.report;
      done.push(`${name} ${'name' in report ? report.name : report.fit.name} ${path ?? ''}`);
    },
    onFailed: (job, failure) => failed.push(`${job.request.name}: ${failure.message}`),
    log: message => void log(message),
    now: () => now++,
  });
  windows.push(queue);
  await queue.open();
  return { queue, store };
}

const domainFolder = (name: string): string => join(storage, 'domains', name);
const request = (name: string): TrainingTask => ({
  kind: 'residual',
  request: boostRequest(name, domainFolder(name)),
});
const requestOn = (name: string, device: DeviceChoice): TrainingTask => {
  const asked = boostRequest(name, domainFolder(name));
  return { kind: 'residual', request: { ...asked, model: { ...asked.model, device } } };
};
const statuses = (queue: TrainingQueue): string[] =>
  queue.all.map(({ request: { name }, status }) => `${name} ${status}`);

/** Lets pending calls and file writes come to rest. */
async function until(what: string, check: () => boolean): Promise<void> {
  for (const end = Date.now() + 5_000; Date.now() < end;) {
    if (check()) return;
    await new Promise(resolve => setTimeout(resolve, 2));
  }
  assert.fail(`never: ${what}`);
}

async function trainer(index: number, call?: string): Promise<FakeTrainer> {
  await until(`trainer ${index} ${call ?? ''}`, () =>
    call === undefined
      ? trainers[index] !== undefined
      : trainers[index]?.calls.includes(call) === true,
  );
  const found = trainers[index];
  assert.ok(found);
  return found;
}

function idOf(queue: TrainingQueue, name: string): string {
  const job = queue.all.find(candidate => candidate.request.name === name);
  assert.ok(job, name);
  return job.id;
}

const jobOf = (queue: TrainingQueue, name: string): TrainingJob | undefined =>
  queue.all.find(candidate => candidate.request.name === name);

describe('the queue of trainings', () => {
  it('fits routers in the same turn, by their own call', async () => {
    const { queue } = await openWindow();
    await queue.add(request('chemistry'));
    const { model, corpus } = boostRequest('fit', domainFolder('fit'));
    const folder = join(storage, 'routers', 'fit');
    const fit = { model, corpus, folder, name: 'fit', tokens: 1000, seed: 0 };
    await queue.add({ kind: 'routers', request: fit });
    (await trainer(0, 'boost chemistry')).finish('chemistry');
    const second = await trainer(1, 'fitRouters fit');
    assert.deepEqual(second.calls, ['fitRouters fit']);
    assert.deepEqual(statuses(queue), ['chemistry done', 'fit running']);
  });

  it('runs one at a time, in the order in which they were added, each in a process of its own', async () => {
    const { queue } = await openWindow();
    for (const name of ['chemistry', 'russian', 'speeches']) await queue.add(request(name));
    const first = await trainer(0, 'boost chemistry');
    assert.deepEqual(statuses(queue), ['chemistry running', 'russian queued', 'speeches queued']);
    assert.equal(trainers.length, 1);
    first.finish('chemistry');
    const second = await trainer(1, 'boost russian');
    assert.ok(first.disposed, 'a process that is done is ended');
    second.finish('russian');
    (await trainer(2, 'boost speeches')).finish('speeches');
    await until('all done', () => done.length === 3);
    assert.deepEqual(
      done[0],
      `chemistry chemistry ${join(domainFolder('chemistry'), 'report.json')}`,
    );
    assert.deepEqual(statuses(queue), ['chemistry done', 'russian done', 'speeches done']);
  });

  it('keeps what was measured, and gives the trainer the request as it is', async () => {
    const { queue } = await openWindow();
    await queue.add(request('chemistry'));
    const process = await trainer(0, 'boost chemistry');
    process.progress({ step: 10, loss: 900, domainEv: null, generalEv: null });
    process.progress({ step: 20, loss: 500 });
    await until('progress', () => jobOf(queue, 'chemistry')?.progress?.step === 20);
    assert.deepEqual(jobOf(queue, 'chemistry')?.curve, [
      { step: 10, loss: 900, domainEv: null, generalEv: null },
      { step: 20, loss: 500, domainEv: 0.81, generalEv: 0.8565 },
    ]);
    assert.deepEqual(jobOf(queue, 'chemistry')?.request, request('chemistry').request);
  });

  it('pauses and resumes in the same process; a paused one keeps its turn', async () => {
    const { queue } = await openWindow();
    await queue.add(request('chemistry'));
    await queue.add(request('russian'));
    const process = await trainer(0, 'boost chemistry');
    await queue.pause(idOf(queue, 'chemistry'));
    assert.deepEqual(statuses(queue), ['chemistry paused', 'russian queued']);
    await queue.resume(idOf(queue, 'chemistry'));
    assert.deepEqual(statuses(queue), ['chemistry running', 'russian queued']);
    assert.deepEqual(process.calls, ['boost chemistry', 'pause', 'resume']);
    assert.equal(trainers.length, 1);
  });

  it('cancels: the process is ended, what it learnt is deleted, the next one starts', async () => {
    const { queue } = await openWindow();
    await queue.add(request('chemistry'));
    await queue.add(request('russian'));
    const process = await trainer(0, 'boost chemistry');
    mkdirSync(domainFolder('chemistry'), { recursive: true });
    writeFileSync(join(domainFolder('chemistry'), 'checkpoint.0.safetensors'), 'x');
    await queue.cancel(idOf(queue, 'chemistry'));
    assert.ok(process.disposed);
    assert.ok(!existsSync(domainFolder('chemistry')));
    await trainer(1, 'boost russian');
    assert.deepEqual(statuses(queue), ['chemistry cancelled', 'russian running']);
    assert.deepEqual(failed, []);
  });

  it('cancels one that waits or is paused', async () => {
    const { queue } = await openWindow();
    await queue.add(request('chemistry'));
    await queue.add(request('russian'));
    await queue.add(request('speeches'));
    await trainer(0, 'boost chemistry');
    await queue.cancel(idOf(queue, 'russian'));
    await queue.pause(idOf(queue, 'chemistry'));
    await queue.cancel(idOf(queue, 'chemistry'));
    await trainer(1, 'boost speeches');
    assert.deepEqual(statuses(queue), [
      'chemistry cancelled',
      'russian cancelled',
      'speeches running',
    ]);
  });

  it('refuses a second training of a domain that is still to be trained', async () => {
    const { queue } = await openWindow();
    await queue.add(request('chemistry'));
    await assert.rejects(queue.add(request('chemistry')), /queued already/);
    (await trainer(0, 'boost chemistry')).finish('chemistry');
    await until('done', () => done.length === 1);
    writeOld('chemistry');
    await queue.add(request('chemistry'));
    assert.ok(!existsSync(join(domainFolder('chemistry'), 'report.json')), 'starts from nothing');
    await trainer(1, 'boost chemistry');
    assert.deepEqual(statuses(queue), ['chemistry running']);
  });

  it('tells a failure, keeps the checkpoint, and goes on when resumed', async () => {
    const { queue } = await openWindow();
    await queue.add(request('chemistry'));
    const process = await trainer(0, 'boost chemistry');
    writeOld('chemistry');
    process.fail(new Failure('no-space', 'The disk is full.', { action: 'Free 2 GB.' }));
    await until('failed', () => failed.length === 1);
    assert.equal(jobOf(queue, 'chemistry')?.failure, 'The disk is full. Free 2 GB.');
    assert.ok(existsSync(domainFolder('chemistry')));
    await queue.resume(idOf(queue, 'chemistry'));
    (await trainer(1, 'boost chemistry')).finish('chemistry');
    await until('done', () => done.length === 1);
    await queue.remove(idOf(queue, 'chemistry'));
    assert.deepEqual(statuses(queue), []);
    assert.ok(existsSync(domainFolder('chemistry')), 'a finished domain stays');
  });
});

function writeOld(name: string): void {
  mkdirSync(domainFolder(name), { recursive: true });
  writeFileSync(join(domainFolder(name), 'report.json'), '{}');
}

describe('a trainer that is killed', () => {
  it('is started again once by itself; the second time within a minute it fails', async () => {
    const { queue } = await openWindow();
    await queue.add(request('chemistry'));
    const first = await trainer(0, 'boost chemistry');
    first.progress();
    await until('progress', () => jobOf(queue, 'chemistry')?.progress?.step === 100);
    first.kill();
    const second = await trainer(1, 'boost chemistry');
    second.progress({ phase: 'loading', domainEv: null, domainEvBase: null, generalEvBase: 0.9 });
    await until('progress', () => jobOf(queue, 'chemistry')?.progress?.phase === 'loading');
    const known = jobOf(queue, 'chemistry')?.progress;
    assert.deepEqual([known?.domainEvBase, known?.generalEvBase], [0.78, 0.9]);
    assert.match(String(jobOf(queue, 'chemistry')?.notice), /signal SIGKILL.*checkpoint/);
    assert.deepEqual(failed, []);
    now += 10_000;
    second.kill();
    await until('failed', () => failed.length === 1);
    assert.match(String(failed[0]), /stopped again \(signal SIGKILL\)/);
    assert.match(String(jobOf(queue, 'chemistry')?.failure), /Resume it/);
    await queue.resume(idOf(queue, 'chemistry'));
    (await trainer(2, 'boost chemistry')).kill();
    await trainer(3, 'boost chemistry');
  });

  it('whose device fails starts anew on it, and the second time on the CPU, however late that is', async () => {
    const { queue } = await openWindow();
    await queue.add(requestOn('chemistry', 'auto'));
    const lost = new Failure('device-lost', 'WebGPU failed: the device was lost.');
    (await trainer(0, 'boost chemistry')).fail(lost);
    await trainer(1, 'boost chemistry');
    const noticeNow = (): string | null | undefined => jobOf(queue, 'chemistry')?.notice;
    assert.equal(
      noticeNow(),
      'WebGPU failed: the device was lost, and the training went on from its checkpoint.',
    );
    assert.equal(jobOf(queue, 'chemistry')?.request.model.device, 'auto');
    now += 600_000;
    // The steps were the CPU's, the activations the device's.
    (await trainer(1, 'boost chemistry')).progress({ device: 'CPU' });
    await until('progress', () => jobOf(queue, 'chemistry')?.progress?.device === 'CPU');
    (await trainer(1, 'boost chemistry')).fail(lost);
    const third = await trainer(2, 'boost chemistry');
    assert.equal(
      noticeNow(),
      'WebGPU failed: the device was lost, and the CPU went on from its checkpoint.',
    );
    assert.equal(jobOf(queue, 'chemistry')?.request.model.device, 'cpu');
    third.finish('chemistry');
    await until('done', () => done.length === 1);
    assert.deepEqual(failed, []);
    assert.ok(trainers[0]?.disposed && trainers[1]?.disposed);
  });

  it('twice on a device goes on on the CPU, said, and fails where that stops at once too', async () => {
    const { queue } = await openWindow();
    await queue.add(requestOn('chemistry', 'auto'));
    for (const index of [0, 1]) {
      const process = await trainer(index, 'boost chemistry');
      process.progress({ device: 'WebGPU', step: 10 + index });
      await until('progress', () => jobOf(queue, 'chemistry')?.progress?.step === 10 + index);
      process.kill();
      now += 200_000;
    }
    const third = await trainer(2, 'boost chemistry');
    assert.equal(jobOf(queue, 'chemistry')?.request.model.device, 'cpu');
    assert.equal(
      jobOf(queue, 'chemistry')?.notice,
      'The trainer stopped twice on WebGPU (signal SIGKILL), and the CPU went on from its checkpoint.',
    );
    now += 100_000;
    third.kill();
    (await trainer(3, 'boost chemistry')).kill();
    await until('failed', () => failed.length === 1);
  });

  it('twice before its device is known goes on on the CPU too', async () => {
    const { queue } = await openWindow();
    await queue.add(requestOn('chemistry', 'cuda'));
    (await trainer(0, 'boost chemistry')).kill();
    (await trainer(1, 'boost chemistry')).kill();
    await trainer(2, 'boost chemistry');
    assert.deepEqual(startedFor, ['cuda', 'cuda', 'cpu']);
    assert.match(String(jobOf(queue, 'chemistry')?.notice), /twice on CUDA .*the CPU went on/);
    assert.deepEqual(failed, []);
  });

  it('twice before anybody knows what auto took goes on on the CPU, and names no device', async () => {
    const { queue } = await openWindow();
    await queue.add(requestOn('chemistry', 'auto'));
    (await trainer(0, 'boost chemistry')).kill();
    await trainer(1, 'boost chemistry');
    const notices = [jobOf(queue, 'chemistry')?.notice];
    (await trainer(1, 'boost chemistry')).kill();
    await trainer(2, 'boost chemistry');
    notices.push(jobOf(queue, 'chemistry')?.notice);
    assert.deepEqual(notices, [
      'The trainer stopped (signal SIGKILL) and went on from its checkpoint.',
      'The trainer stopped twice (signal SIGKILL), and the CPU went on from its checkpoint.',
    ]);
  });

  it('twice on a device that is asked for, with steps on the CPU, goes on on the CPU alone', async () => {
    const { queue } = await openWindow();
    await queue.add(requestOn('chemistry', 'directml'));
    for (const index of [0, 1]) {
      const process = await trainer(index, 'boost chemistry');
      process.progress({ device: 'CPU', step: 10 + index });
      await until('progress', () => jobOf(queue, 'chemistry')?.progress?.step === 10 + index);
      process.kill();
    }
    await trainer(2, 'boost chemistry');
    assert.deepEqual(startedFor, ['directml', 'directml', 'cpu']);
    assert.match(String(jobOf(queue, 'chemistry')?.notice), /twice on DirectML .*the CPU went on/);
  });

  it('on the CPU because TensorFlow cannot be used is started again once', async () => {
    const { queue } = await openWindow();
    const asked = boostRequest('chemistry', domainFolder('chemistry'));
    await queue.add({ kind: 'residual', request: { ...asked, tensorflow: {} } });
    for (const index of [0, 1]) {
      const process = await trainer(index, 'boost chemistry');
      process.progress({ device: 'CPU', step: 10 + index });
      await until('progress', () => jobOf(queue, 'chemistry')?.progress?.step === 10 + index);
      process.kill();
    }
    await until('failed', () => failed.length === 1);
  });

  it('on the CPU that auto took is started again once', async () => {
    const { queue } = await openWindow();
    await queue.add(requestOn('chemistry', 'auto'));
    for (const index of [0, 1]) {
      const process = await trainer(index, 'boost chemistry');
      process.progress({ device: 'CPU', step: 10 + index });
      await until('progress', () => jobOf(queue, 'chemistry')?.progress?.step === 10 + index);
      process.kill();
    }
    await until('failed', () => failed.length === 1);
    assert.equal(jobOf(queue, 'chemistry')?.request.model.device, 'auto');
  });

  it('is started again and again when that happens minutes apart', async () => {
    const { queue } = await openWindow();
    await queue.add(request('chemistry'));
    for (let i = 0; i < 4; i++) {
      (await trainer(i, 'boost chemistry')).kill();
      now += 61_000;
    }
    (await trainer(4, 'boost chemistry')).finish('chemistry');
    await until('done', () => done.length === 1);
    assert.deepEqual(failed, []);
  });

  it('stays down while the training is paused, and starts when it is resumed', async () => {
    const { queue } = await openWindow();
    await queue.add(request('chemistry'));
    const process = await trainer(0, 'boost chemistry');
    await queue.pause(idOf(queue, 'chemistry'));
    process.kill();
    await until('disposed', () => process.disposed);
    assert.deepEqual(statuses(queue), ['chemistry paused']);
    await queue.resume(idOf(queue, 'chemistry'));
    await trainer(1, 'boost chemistry');
    assert.deepEqual(statuses(queue), ['chemistry running']);
  });
});

describe('a window that is loaded again', () => {
  it('goes on with the training under way, with its curve, and then with the queue', async () => {
    const first = await openWindow();
    await first.queue.add(request('chemistry'));
    await first.queue.add(request('russian'));
    const process = await trainer(0, 'boost chemistry');
    process.progress({ step: 7 });
    await until('progress', () => jobOf(first.queue, 'chemistry')?.progress?.step === 7);
    now += 10_000;
    process.progress({ step: 8 });
    await until('progress', () => jobOf(first.queue, 'chemistry')?.progress?.step === 8);
    first.queue.dispose();
    assert.ok(process.disposed);
    await first.store.flushed();
    const { queue } = await openWindow();
    assert.deepEqual(statuses(queue), ['chemistry running', 'russian queued']);
    assert.deepEqual(
      jobOf(queue, 'chemistry')?.curve.map(({ step }) => step),
      [7, 8],
    );
    (await trainer(1, 'boost chemistry')).finish('chemistry');
    await trainer(2, 'boost russian');
  });

  it('leaves a paused one paused, and what has ended as it is', async () => {
    const first = await openWindow();
    await first.queue.add(request('chemistry'));
    (await trainer(0, 'boost chemistry')).finish('chemistry');
    await until('done', () => done.length === 1);
    await first.queue.add(request('russian'));
    await trainer(1, 'boost russian');
    await first.queue.pause(idOf(first.queue, 'russian'));
    first.queue.dispose();
    await first.store.flushed();
    const { queue } = await openWindow();
    await queue.add(request('speeches'));
    assert.deepEqual(statuses(queue), ['chemistry done', 'russian paused', 'speeches queued']);
    assert.equal(trainers.length, 2, 'no process for a paused training');
    await queue.resume(idOf(queue, 'russian'));
    await trainer(2, 'boost russian');
  });

  it('ignores files that hold no training, and says so', async () => {
    const trainings = join(storage, 'trainings');
    mkdirSync(trainings, { recursive: true });
    writeFileSync(join(trainings, 'half.json'), '{"id":"half","sta');
    writeFileSync(join(trainings, 'other.json'), '{"id":"x"}');
    const { queue } = await openWindow();
    assert.deepEqual(statuses(queue), []);
    assert.equal(logged.length, 2);
    assert.equal(readdirSync(trainings).length, 2);
  });
});

describe('the curve of a training', () => {
  it('stays short however long the training is, and keeps its order', () => {
    let curve: TrainingJob['curve'] = [];
    for (let step = 0; step < 5_000; step++) curve = extendCurve(curve, boostProgress({ step }));
    assert.ok(curve.length <= 241 && curve.length >= 120, `${curve.length} points`);
    assert.ok(curve.every(({ step }, i) => i === 0 || step > (curve[i - 1]?.step ?? Infinity)));
    assert.equal(curve.at(-1)?.step, 4_999);
  });

  it('goes back with the training to its checkpoint', () => {
    let curve: TrainingJob['curve'] = [];
    for (const step of [10, 20, 30, 20]) curve = extendCurve(curve, boostProgress({ step }));
    assert.deepEqual(
      curve.map(({ step }) => step),
      [10, 20],
    );
  });

  it('is read from a file only where that is whole', () => {
    assert.equal(parseJob('{'), undefined);
    assert.equal(parseJob('null'), undefined);
    assert.equal(
      parseJob('{"id":"../x","created":1,"status":"done","curve":[],"request":{}}'),
      undefined,
    );
  });
});
