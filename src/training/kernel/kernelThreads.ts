import { Worker } from 'node:worker_threads';
import { Failure } from '../../common/failure.ts';
import * as job from '../../kernel/job.ts';

/** What the compiled kernel exports; `j` is the address of a job. */
export interface KernelExports {
  group(j: number): void;
  share(j: number, thread: number): void;
  updateDecoderBias(j: number): void;
}

/** Source of a worker thread: kept as text, so that a bundle needs no second file for these lines. */
const workerSource = `
const { workerData: w, parentPort } = require('node:worker_threads');
const { exports } = new WebAssembly.Instance(w.module, { env: { memory: w.memory } });
const words = new Int32Array(w.memory.buffer, w.address);
const arrive = () => { Atomics.add(words, w.ARRIVED, 1); Atomics.notify(words, w.ARRIVED); };
arrive();
for (let seen = 0; ; ) {
  Atomics.wait(words, w.GENERATION, seen);
  const generation = Atomics.load(words, w.GENERATION);
  if (generation === seen) continue;
  seen = generation;
  if (words[w.PHASE] === w.PHASE_END) break;
  try {
    exports.share(w.address, w.thread);
  } catch {
    Atomics.store(words, w.BROKEN, 1);
  }
  arrive();
}`;

/** How long a thread may take to start or to do its share of a phase, milliseconds. */
const patience = 120_000;

/** The threads of a kernel: the calling one is number 0. */
export class KernelThreads {
  private readonly words: Int32Array;
  private readonly exports: KernelExports;
  private readonly address: number;
  private readonly workers: Worker[] = [];

  constructor(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    options: { readonly address: number; readonly threads: number },
  ) {
    this.address = options.address;
    this.words = new Int32Array(memory.buffer, options.address, job.JOB_WORDS);
    this.exports = new WebAssembly.Instance(module, { env: { memory } }).exports as KernelExports;
    for (let thread = 1; thread < options.threads; thread++) {
      const workerData = { ...job, module, memory, address: options.address, thread };
      const worker = new Worker(workerSource, { eval: true, execArgv: [], workerData });
      worker.on('error', () => Atomics.store(this.words, job.BROKEN, 1));
      worker.unref();
      this.workers.push(worker);
    }
    this.awaitOthers('start');
  }

  /** Sorts the chunk's activations, and takes both phases through all threads. */
  step(): void {
    this.exports.group(this.address);
    this.together(job.PHASE_DECODE);
    this.together(job.PHASE_UPDATE);
    if (this.words[job.LAST] === 1) this.exports.updateDecoderBias(this.address);
  }

  async dispose(): Promise<void> {
    this.announce(job.PHASE_END);
    await Promise.all(this.workers.splice(0).map(worker => worker.terminate()));
  }

  private together(phase: number): void {
    this.announce(phase);
    this.exports.share(this.address, 0);
    this.awaitOthers('finish a phase');
  }

  private announce(phase: number): void {
    Atomics.store(this.words, job.ARRIVED, 0);
    this.words[job.PHASE] = phase;
    Atomics.add(this.words, job.GENERATION, 1);
    Atomics.notify(this.words, job.GENERATION);
  }

  private awaitOthers(what: string): void {
    const { words, workers } = this;
    for (;;) {
      const arrived = Atomics.load(words, job.ARRIVED);
      if (arrived >= workers.length) break;
      if (Atomics.wait(words, job.ARRIVED, arrived, patience) === 'timed-out') {
        throw new Failure(
          'stopped',
          `A training thread did not ${what} within ${patience / 1000} s.`,
        );
      }
    }
    if (Atomics.load(words, job.BROKEN) === 1) {
      throw new Failure('internal', 'A training thread failed.');
    }
  }
}
