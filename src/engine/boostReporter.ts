import type { BoostPhase, BoostProgress } from '../contracts/trainer.ts';
import type { TrainedProgress } from './boostTrain.ts';

/** What each phase is likely to take of the whole, until it is seen. */
export type PhaseSeconds = Partial<Record<BoostPhase, number>>;

const nothingTrained: TrainedProgress = {
  fraction: 0,
  step: 0,
  steps: 0,
  tokens: 0,
  loss: null,
  domainEv: null,
  domainEvBase: null,
  generalEv: null,
  generalEvBase: null,
  alive: null,
  dead: null,
  tokensPerSecond: null,
};

const leastMilliseconds = 200;

/** Tells how a training stands, a few times a second, and how long it will still take. */
export class BoostReporter {
  private readonly send: (progress: BoostProgress) => void;
  private readonly expected: Map<BoostPhase, number>;
  private phase: BoostPhase = 'loading';
  private began = performance.now();
  /** What was already done when the phase began: a training that is taken up begins in its middle. */
  private from: number | undefined;
  private sent = 0;
  private last: TrainedProgress = nothingTrained;

  /** `expected`: seconds of the phases, in their order. */
  constructor(send: (progress: BoostProgress) => void, expected: PhaseSeconds) {
    this.send = send;
    this.expected = new Map(Object.entries(expected) as [BoostPhase, number][]);
  }

  /** What is known only later of how long phases take. */
  expect(seconds: PhaseSeconds): void {
    for (const [phase, value] of Object.entries(seconds) as [BoostPhase, number][])
      this.expected.set(phase, value);
  }

  enter(phase: BoostPhase): void {
    if (phase !== this.phase) this.expected.delete(this.phase);
    this.phase = phase;
    this.from = undefined;
    this.sent = 0;
    this.tell({ ...this.last, fraction: 0 });
    this.sent = 0;
  }

  at(fraction: number): void {
    this.trained({ ...this.last, fraction });
  }

  trained(progress: TrainedProgress): void {
    if (this.from === undefined) {
      this.from = progress.fraction;
      this.began = performance.now();
    }
    this.tell(progress);
  }

  private tell(progress: TrainedProgress): void {
    this.last = progress;
    const now = performance.now();
    if (now - this.sent < leastMilliseconds && progress.fraction < 1) return;
    this.sent = now;
    this.send({ ...progress, phase: this.phase, secondsLeft: this.secondsLeft(progress.fraction) });
  }

  private secondsLeft(fraction: number): number | null {
    const spent = (performance.now() - this.began) / 1000;
    const done = fraction - (this.from ?? fraction);
    const seen = done > 0.02 && spent > 1 ? (spent * (1 - fraction)) / done : undefined;
    const here = seen ?? this.expected.get(this.phase);
    if (here === undefined) return null;
    let later = 0;
    for (const [phase, seconds] of this.expected) if (phase !== this.phase) later += seconds;
    return here + later;
  }
}
