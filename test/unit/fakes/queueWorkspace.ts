import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach } from 'node:test';
import type { DeviceChoice } from '../../../src/contracts/engine.ts';
import type { TrainingJob, TrainingTask } from '../../../src/editor/training/trainingJob.ts';
import { TrainingQueue } from '../../../src/editor/training/trainingQueue.ts';
import { TrainingStore } from '../../../src/editor/training/trainingStore.ts';
import { boostRequest, FakeTrainer } from './trainer.ts';

/* A workspace whose trainings are queued, new for each test; what happens is noted. */

export const trainers: FakeTrainer[] = [];
export const done: string[] = [];
export const failed: string[] = [];
export const logged: string[] = [];
/** The device of each trainer's job. */
export const startedFor: (DeviceChoice | undefined)[] = [];
export const workspace = { storage: '', now: 0 };
const windows: TrainingQueue[] = [];

const folder = mkdtempSync(join(tmpdir(), 'loupe-queue-'));
after(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  workspace.storage = mkdtempSync(join(folder, 'storage-'));
  workspace.now = 1_000_000;
  for (const noted of [trainers, done, failed, logged, startedFor]) noted.length = 0;
});
afterEach(() => {
  for (const queue of windows.splice(0)) queue.dispose();
});

/** A window that opens the workspace: whatever its files hold is taken up. */
export async function openWindow(): Promise<{ queue: TrainingQueue; store: TrainingStore }> {
  const log = (message: string): unknown => logged.push(message);
  const store = new TrainingStore(
    join(workspace.storage, 'trainings'),
    message => void log(message),
  );
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
    now: () => workspace.now++,
  });
  windows.push(queue);
  await queue.open();
  return { queue, store };
}

export const domainFolder = (name: string): string => join(workspace.storage, 'domains', name);
export const request = (name: string): TrainingTask => ({
  kind: 'residual',
  request: boostRequest(name, domainFolder(name)),
});
export const requestOn = (name: string, device: DeviceChoice): TrainingTask => {
  const asked = boostRequest(name, domainFolder(name));
  return { kind: 'residual', request: { ...asked, model: { ...asked.model, device } } };
};
export const statuses = (queue: TrainingQueue): string[] =>
  queue.all.map(({ request: { name }, status }) => `${name} ${status}`);

/** Lets pending calls and file writes come to rest. */
export async function until(what: string, check: () => boolean): Promise<void> {
  for (const end = Date.now() + 5_000; Date.now() < end;) {
    if (check()) return;
    await new Promise(resolve => setTimeout(resolve, 2));
  }
  assert.fail(`never: ${what}`);
}

export async function trainer(index: number, call?: string): Promise<FakeTrainer> {
  await until(`trainer ${index} ${call ?? ''}`, () =>
    call === undefined
      ? trainers[index] !== undefined
      : trainers[index]?.calls.includes(call) === true,
  );
  const found = trainers[index];
  assert.ok(found);
  return found;
}

export function idOf(queue: TrainingQueue, name: string): string {
  const job = queue.all.find(candidate => candidate.request.name === name);
  assert.ok(job, name);
  return job.id;
}

export const jobOf = (queue: TrainingQueue, name: string): TrainingJob | undefined =>
  queue.all.find(candidate => candidate.request.name === name);
