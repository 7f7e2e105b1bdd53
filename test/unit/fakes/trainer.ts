import { Failure } from '../../../src/common/failure.ts';
import type { BoostReport } from '../../../src/contracts/boostReport.ts';
import type {
  BoostProgress,
  BoostRequest,
  TrainerContract,
} from '../../../src/contracts/trainer.ts';
import type { Trainer } from '../../../src/editor/training/trainingQueue.ts';
import { createCaller, serve, type Handlers } from '../../../src/messages/calls.ts';
import { connect } from '../../../src/messages/connection.ts';
import { inMemoryPorts } from '../../fixtures/inMemory.ts';
import { boostReport } from '../../fixtures/boostReport.ts';

export function boostRequest(name: string, folder: string): BoostRequest {
  return {
    model: { path: '/model.gguf', cacheFolder: '/cache', threads: 1 },
    basePath: '/base',
    corpus: {
      roots: ['/workspace'],
      include: [],
      exclude: [],
      useGitIgnore: true,
      seed: 0,
      maxFileBytes: 1e6,
    },
    generalPaths: [],
    otherDomains: [],
    folder,
    name,
    width: 1_024,
    k: 5,
    tokens: 0,
    seed: 0,
    mixGeneral: 0,
    diskBytes: 1e9,
    command: 'test',
  };
}

export function boostProgress(change: Partial<BoostProgress> = {}): BoostProgress {
  return {
    phase: 'training',
    fraction: 0.5,
    step: 100,
    steps: 200,
    tokens: 409_600,
    loss: 312.5,
    domainEv: 0.81,
    domainEvBase: 0.78,
    generalEv: 0.8565,
    generalEvBase: 0.857,
    alive: 903,
    device: 'WebGPU',
    dead: 0.118,
    tokensPerSecond: 21_400,
    secondsLeft: 95,
    ...change,
  };
}

/** A trainer whose process is a pair of ports: a test says what it reports, and when it ends or dies. */
export class FakeTrainer implements Trainer {
  readonly caller;
  readonly ready = Promise.resolve();
  readonly ended: Promise<string>;
  /** Methods called, in order; boost with its domain's name. */
  readonly calls: string[] = [];
  disposed = false;
  private report: (progress: BoostProgress) => void = () => undefined;
  private settle: { resolve: (report: BoostReport) => void; reject: (error: Error) => void } = {
    resolve: () => undefined,
    reject: () => undefined,
  };
  private readonly close: (reason: string) => void;

  constructor() {
    const [here, there] = inMemoryPorts();
    this.caller = createCaller<TrainerContract>(connect(here));
    const handlers: Handlers<TrainerContract> = {
      hello: () => ({ protocol: 1, pid: 1, runtime: 'fake' }),
      plan: () => Promise.reject(new Failure('unsupported', 'no plan')),
      boost: (request, { report }) => {
        this.calls.push(`boost ${request.name}`);
        this.report = report;
        return new Promise<BoostReport>((resolve, reject) => (this.settle = { resolve, reject }));
      },
      planFit: () => Promise.reject(new Failure('unsupported', 'no plan')),
      fitRouters: request => {
        this.calls.push(`fitRouters ${request.name}`);
        return new Promise(() => undefined);
      },
      pause: () => this.note('pause'),
      resume: () => this.note('resume'),
    };
    serve<TrainerContract>(connect(there), handlers);
    let end: (reason: string) => void = () => undefined;
    this.ended = new Promise(resolve => (end = resolve));
    this.close = reason => {
      here.close();
      end(reason);
    };
  }

  progress(change: Partial<BoostProgress> = {}): void {
    this.report(boostProgress(change));
  }

  finish(name: string): void {
    this.settle.resolve(boostReport({ name }));
  }

  fail(failure: Failure): void {
    this.settle.reject(failure);
  }

  /** As kill -9 would. */
  kill(): void {
    this.close('signal SIGKILL');
  }

  dispose(): void {
    this.disposed = true;
    this.close('ended');
  }

  private note(call: string): null {
    this.calls.push(call);
    return null;
  }
}
