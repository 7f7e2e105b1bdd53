import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import type { TrainingQueue } from '../../src/editor/training/trainingQueue.ts';
import {
  domainFolder,
  done,
  failed,
  idOf,
  jobOf,
  openWindow,
  request,
  requestOn,
  startedFor,
  statuses,
  trainer,
  trainers,
  until,
  workspace,
} from './fakes/queueWorkspace.ts';
import { boostRequest } from './fakes/trainer.ts';

/** The first two trainers take steps on the device and are killed, so many milliseconds apart. */
async function stopsTwice(queue: TrainingQueue, device: string, apart = 0): Promise<void> {
  for (const index of [0, 1]) {
    const process = await trainer(index, 'boost chemistry');
    process.progress({ device, step: 10 + index });
    await until('progress', () => jobOf(queue, 'chemistry')?.progress?.step === 10 + index);
    process.kill();
    workspace.now += apart;
  }
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
    workspace.now += 10_000;
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
    workspace.now += 600_000;
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
    await stopsTwice(queue, 'WebGPU', 200_000);
    const third = await trainer(2, 'boost chemistry');
    assert.equal(jobOf(queue, 'chemistry')?.request.model.device, 'cpu');
    assert.equal(
      jobOf(queue, 'chemistry')?.notice,
      'The trainer stopped twice on WebGPU (signal SIGKILL), and the CPU went on from its checkpoint.',
    );
    workspace.now += 100_000;
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
    await stopsTwice(queue, 'CPU');
    await trainer(2, 'boost chemistry');
    assert.deepEqual(startedFor, ['directml', 'directml', 'cpu']);
    assert.match(String(jobOf(queue, 'chemistry')?.notice), /twice on DirectML .*the CPU went on/);
  });

  it('on the CPU because TensorFlow cannot be used is started again once', async () => {
    const { queue } = await openWindow();
    const asked = boostRequest('chemistry', domainFolder('chemistry'));
    await queue.add({ kind: 'residual', request: { ...asked, tensorflow: {} } });
    await stopsTwice(queue, 'CPU');
    await until('failed', () => failed.length === 1);
  });

  it('on the CPU that auto took is started again once', async () => {
    const { queue } = await openWindow();
    await queue.add(requestOn('chemistry', 'auto'));
    await stopsTwice(queue, 'CPU');
    await until('failed', () => failed.length === 1);
    assert.equal(jobOf(queue, 'chemistry')?.request.model.device, 'auto');
  });

  it('is started again and again when that happens minutes apart', async () => {
    const { queue } = await openWindow();
    await queue.add(request('chemistry'));
    for (let i = 0; i < 4; i++) {
      (await trainer(i, 'boost chemistry')).kill();
      workspace.now += 61_000;
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
