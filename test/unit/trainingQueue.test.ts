import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import { extendCurve, parseJob, type TrainingJob } from '../../src/editor/training/trainingJob.ts';
import {
  domainFolder,
  done,
  failed,
  idOf,
  jobOf,
  logged,
  openWindow,
  request,
  statuses,
  trainer,
  trainers,
  until,
  workspace,
} from './fakes/queueWorkspace.ts';
import { boostProgress, boostRequest } from './fakes/trainer.ts';

describe('the queue of trainings', () => {
  it('fits routers in the same turn, by their own call', async () => {
    const { queue } = await openWindow();
    await queue.add(request('chemistry'));
    const { model, corpus } = boostRequest('fit', domainFolder('fit'));
    const folder = join(workspace.storage, 'routers', 'fit');
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

describe('a window from which another takes the trainings', () => {
  it('ends its trainer, touches nothing any more, and takes them up again later', async () => {
    const { queue, store } = await openWindow();
    await queue.add(request('chemistry'));
    const process = await trainer(0, 'boost chemistry');
    await store.flushed();
    queue.close();
    assert.ok(process.disposed);
    assert.deepEqual(statuses(queue), []);
    const other = await openWindow();
    (await trainer(1, 'boost chemistry')).finish('chemistry');
    await until('done', () => done.length === 1);
    other.queue.dispose();
    await other.store.flushed();
    await queue.open();
    assert.deepEqual(statuses(queue), ['chemistry done']);
    assert.deepEqual(failed, []);
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
    workspace.now += 10_000;
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
    const trainings = join(workspace.storage, 'trainings');
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
