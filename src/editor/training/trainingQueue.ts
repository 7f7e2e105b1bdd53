import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../common/failure.ts';
import { RestartPolicy } from '../../common/restartPolicy.ts';
import type { BoostReport } from '../../contracts/boostReport.ts';
import type { ModelRequest } from '../../contracts/engine.ts';
import type { RouterFitReport } from '../../contracts/routerFit.ts';
import type { TrainerContract, TrainingProgress } from '../../contracts/trainer.ts';
import type { Caller } from '../../messages/calls.ts';
import {
  extendCurve,
  hasEnded,
  newJob,
  onCpu,
  askedDevice,
  deviceOf,
  type JobRecord,
  type TrainingJob,
  type TrainingTask,
} from './trainingJob.ts';
import type { TrainingStore } from './trainingStore.ts';

/** A trainer process, from its start to its end. */
export interface Trainer {
  readonly caller: Caller<TrainerContract>;
  /** Settles when the process has answered for the first time; rejects where it does not. */
  readonly ready: Promise<void>;
  /** How the process ended, whether or not it was asked to: "signal SIGKILL". */
  readonly ended: Promise<string>;
  /** Ends the process at once. */
  dispose(): void;
}

/** Starts a process for work on the device that a model is asked to run on. */
export type StartTrainer = (model: Pick<ModelRequest, 'device'>) => Trainer;

export interface TrainingQueueParts {
  readonly store: TrainingStore;
  readonly startTrainer: StartTrainer;
  /** Something about a job or the list has changed. */
  readonly onChange: () => void;
  readonly onDone: (done: FinishedTraining) => void;
  readonly onFailed: (job: TrainingJob, failure: Failure) => void;
  readonly log: (message: string) => void;
  readonly now: () => number;
}

/** A job that has ended well, with its report. */
export type FinishedTraining =
  | { readonly kind: 'residual'; readonly name: string; readonly report: BoostReport }
  | {
      readonly kind: 'routers';
      readonly name: string;
      /** Where the routers lie. */
      readonly folder: string;
      readonly report: RouterFitReport;
    };

/** The job under way and its process. */
interface Run {
  readonly id: string;
  readonly abort: AbortController;
  trainer: Trainer | undefined;
  settled: Promise<void>;
}

/** Progress is written down this often: milliseconds. */
const saveEvery = 2_000;

/**
 * The trainings of a workspace, one at a time in the order in which they were queued; a paused one keeps its turn.
 * What was running when the window closed goes on from its checkpoint when the queue is opened again, and so does one
 * whose process stops by itself: the second time on the CPU if a device was in use, and else not where that happens again within a
 * minute.
 */
export class TrainingQueue {
  private readonly parts: TrainingQueueParts;
  private readonly jobs = new Map<string, TrainingJob>();
  private readonly restarts = new Map<string, RestartPolicy>();
  private run: Run | undefined;
  private isOpen = false;
  private savedAt = -Infinity;

  constructor(parts: TrainingQueueParts) {
    this.parts = parts;
  }

  /** Oldest first. */
  get all(): readonly TrainingJob[] {
    return [...this.jobs.values()];
  }

  /** The one that runs or is paused. */
  get active(): TrainingJob | undefined {
    return this.all.find(({ status }) => status === 'running' || status === 'paused');
  }

  /** Takes up what the workspace's files hold. */
  async open(): Promise<void> {
    const found = await this.parts.store.read();
    this.jobs.clear();
    for (const job of found) this.jobs.set(job.id, job);
    this.isOpen = true;
    this.parts.onChange();
    this.next();
  }

  /** Queues a training that starts from nothing: what lies in its folder is deleted. */
  async add(task: TrainingTask): Promise<TrainingJob> {
    const { request } = task;
    const other = this.all.find(job => !hasEnded(job) && job.request.folder === request.folder);
    if (other) {
      throw new Failure('usage', `A training of '${other.request.name}' is queued already.`, {
        action: 'Wait for it, or cancel it.',
      });
    }
    // A new training takes the place of those that had the same folder.
    for (const job of this.all) {
      if (job.request.folder === request.folder) this.forget(job.id);
    }
    const job = newJob(task, this.parts.now());
    await this.deleteFolder(job);
    this.jobs.set(job.id, job);
    await this.parts.store.save(job);
    this.parts.onChange();
    this.next();
    return job;
  }

  async pause(id: string): Promise<void> {
    if (this.jobs.get(id)?.status !== 'running') return;
    this.change(id, { status: 'paused' });
    if (this.run?.id === id) await this.run.trainer?.caller.call('pause', null).catch(ignoreEnd);
  }

  async resume(id: string): Promise<void> {
    const status = this.jobs.get(id)?.status;
    if (status !== 'paused' && status !== 'failed') return;
    this.restarts.delete(id);
    if (status === 'paused' && this.run?.id === id) {
      this.change(id, { status: 'running' });
      await this.run.trainer?.caller.call('resume', null).catch(ignoreEnd);
      return;
    }
    this.change(id, { status: 'queued', failure: null, notice: null });
    this.next();
  }

  /** Ends a training and deletes what it has learnt. */
  async cancel(id: string): Promise<void> {
    const job = this.jobs.get(id);
    if (!job || hasEnded(job)) return;
    const { run } = this;
    this.change(id, { status: 'cancelled' });
    if (run?.id === id) {
      run.abort.abort();
      run.trainer?.dispose();
      await run.settled;
    } else {
      await this.deleteFolder(job);
      this.next();
    }
  }

  /** Takes a job that has ended off the list; what a failed one has learnt is deleted. */
  async remove(id: string): Promise<void> {
    const job = this.jobs.get(id);
    if (!job || !hasEnded(job)) return;
    this.forget(id);
    if (job.status === 'failed') await this.deleteFolder(job);
  }

  /** Ends the process; what is on the disk says that the job was running, for the next window to go on with. */
  dispose(): void {
    this.isOpen = false;
    this.run?.abort.abort();
    this.run?.trainer?.dispose();
  }

  /** Another window has the trainings now: the process ends, and what is on the disk is not touched any more. */
  close(): void {
    this.dispose();
    this.jobs.clear();
    this.parts.onChange();
  }

  private next(): void {
    if (this.run || !this.isOpen) return;
    const { active } = this;
    if (active?.status === 'paused') return;
    const job = active ?? this.all.find(({ status }) => status === 'queued');
    if (!job) return;
    const abort = new AbortController();
    const run: Run = { id: job.id, abort, trainer: undefined, settled: Promise.resolve() };
    this.run = run;
    this.change(job.id, { status: 'running', failure: null });
    run.settled = this.runJob(run, job);
  }

  private async runJob(run: Run, job: TrainingJob): Promise<void> {
    const { id, abort } = run;
    try {
      const trainer = (run.trainer = this.parts.startTrainer(job.request.model));
      await trainer.ready;
      // Paused or cancelled while the process started.
      if (this.jobs.get(id)?.status === 'running') await this.train(run, trainer, job);
    } catch (error) {
      if (!abort.signal.aborted) await this.stopped(run, Failure.from(error));
    } finally {
      run.trainer?.dispose();
      await run.trainer?.ended;
      const last = this.jobs.get(id);
      if (this.isOpen && last?.status === 'cancelled') await this.deleteFolder(last);
      this.run = undefined;
      this.next();
    }
  }

  private async train(run: Run, { caller }: Trainer, job: TrainingJob): Promise<void> {
    const { signal } = run.abort;
    const onProgress = (progress: TrainingProgress): void => this.progressed(run, progress);
    const { kind } = job;
    const { name, folder } = job.request;
    const options = { signal, onProgress };
    const done: FinishedTraining =
      kind === 'residual'
        ? { kind, name, report: await caller.call('boost', job.request, options) }
        : { kind, name, folder, report: await caller.call('fitRouters', job.request, options) };
    const path = join(folder, 'report.json');
    if (this.change(run.id, { status: 'done', report: path, notice: null })) {
      this.parts.onDone(done);
    }
  }

  /** The run ended without a report, and nobody asked it to. */
  private async stopped({ id, trainer }: Run, failure: Failure): Promise<void> {
    const isDevice = failure.code === 'device-lost';
    if (failure.code !== 'stopped' && !isDevice) {
      this.fail(id, failure);
      return;
    }
    const reason = isDevice ? failure.message : ((await trainer?.ended) ?? 'unknown reason');
    this.parts.log(`The trainer stopped: ${reason}`);
    const job = this.jobs.get(id);
    if (!job || job.status === 'paused') return; // it starts when it is resumed
    const policy = this.restarts.get(id) ?? new RestartPolicy(Infinity);
    this.restarts.set(id, policy);
    const device = isDevice ? askedDevice(job) : deviceOf(job);
    const restart = policy.stoppedOn(this.parts.now(), device);
    if (restart === 'no') {
      const action = 'Resume it: it goes on from its checkpoint.';
      const message = `The trainer stopped again (${shortened(reason)}).`;
      this.fail(id, new Failure('stopped', message, { action }));
      return;
    }
    if (restart === 'on the CPU') this.jobs.set(id, onCpu(job));
    const left = restart === 'on the CPU' ? device : undefined;
    this.change(id, { notice: isDevice ? lostNotice(reason, left) : stopNotice(reason, left) });
  }

  private fail(id: string, failure: Failure): void {
    const { message, action } = failure;
    const text = action === undefined ? message : `${message} ${action}`;
    const failed = this.change(id, { status: 'failed', failure: text });
    if (failed) this.parts.onFailed(failed, failure);
  }

  private progressed(run: Run, progress: TrainingProgress): void {
    const job = this.jobs.get(run.id);
    if (!job || run.abort.signal.aborted) return;
    const curve = extendCurve(job.curve, progress);
    this.jobs.set(run.id, { ...job, progress: withBase(progress, job.progress), curve });
    const now = this.parts.now();
    if (now - this.savedAt >= saveEvery) this.save(run.id, now);
    this.parts.onChange();
  }

  private change(id: string, change: Partial<JobRecord>): TrainingJob | undefined {
    const job = this.jobs.get(id);
    if (!job) return undefined;
    const changed = { ...job, ...change };
    this.jobs.set(id, changed);
    this.save(id, this.parts.now());
    this.parts.onChange();
    return changed;
  }

  private save(id: string, now: number): void {
    const job = this.jobs.get(id);
    if (!job || !this.isOpen) return;
    this.savedAt = now;
    void this.parts.store.save(job);
  }

  private forget(id: string): void {
    this.jobs.delete(id);
    this.restarts.delete(id);
    void this.parts.store.remove(id);
    this.parts.onChange();
  }

  private async deleteFolder({ request: { folder } }: TrainingJob): Promise<void> {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 }).catch((error: unknown) => {
      this.parts.log(`${folder} could not be deleted: ${String(error)}`);
    });
  }
}

/** One sentence: that the process ended by itself, and what goes on; with the device that was left, if one was. */
function stopNotice(reason: string, left: string | undefined): string {
  if (left === undefined) return `The trainer stopped (${reason}) and went on from its checkpoint.`;
  // Which one 'auto' took is not known before the first step.
  const where = left === 'auto' ? '' : ` on ${left}`;
  return `The trainer stopped twice${where} (${reason}), and the CPU went on from its checkpoint.`;
}

/** The same of a device that failed, with the sentence that names it. */
function lostNotice(reason: string, left: string | undefined): string {
  const who = left === undefined ? 'the training' : 'the CPU';
  return `${shortened(reason)}, and ${who} went on from its checkpoint.`;
}

/** A sentence as a part of another. */
export function shortened(sentence: string): string {
  return sentence.replace(/\.$/, '');
}

/** The base is frozen: what was measured of it stays known when the trainer starts again. */
function withBase(progress: TrainingProgress, before: TrainingProgress | null): TrainingProgress {
  const { domainEvBase, generalEvBase } = progress;
  return {
    ...progress,
    domainEvBase: domainEvBase ?? before?.domainEvBase ?? null,
    generalEvBase: generalEvBase ?? before?.generalEvBase ?? null,
  };
}

/** The process ended meanwhile: the run itself finds out what to do. */
function ignoreEnd(error: unknown): void {
  if (!Failure.is(error, 'stopped') && !Failure.is(error, 'cancelled')) throw error;
}
