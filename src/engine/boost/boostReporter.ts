import type { BoostPhase, BoostProgress } from '../../contracts/trainer.ts';
import { leastMilliseconds, untrained } from '../training/untrained.ts';
import type { TrainedProgress } from './boostTrain.ts';

/** A phase that a training has still to go through, and what it is likely to take. */
export interface Stage {
  readonly phase: BoostPhase;
  readonly seconds: number;
}

/** A guess from less than this share of a phase, or from fewer seconds, is worse than the one before the phase. */
const leastSeen = { share: 0.02, seconds: 1 };

/** Tells how a training stands, a few times a second, and how long it will still take. */
export class BoostReporter {
  private readonly send: (progress: BoostProgress) => void;
  private readonly clock: () => number;
  private phase: BoostPhase = 'loading';
  /** What is expected of the present phase; undefined where nothing is. */
  private here: Stage | undefined;
  /** Undefined before anything is known of what is to come. */
  private later: readonly Stage[] | undefined;
  private began = 0;
  /** What was already done when the phase began: a training that is taken up begins in its middle. */
  private from: number | undefined;
  private sent = -Infinity;
  private last: TrainedProgress = untrained;

  /** `clock`: milliseconds of work; it stands still while the training is paused. */
  constructor(send: (progress: BoostProgress) => void, clock: () => number) {
    this.send = send;
    this.clock = clock;
  }

  /** What is to come after the present phase, in its order. */
  expect(stages: readonly Stage[]): void {
    this.later = stages;
  }

  enter(phase: BoostPhase): void {
    const next = this.later?.findIndex(stage => stage.phase === phase) ?? -1;
    this.here = this.later?.[next];
    this.later = this.later?.slice(next + 1);
    this.phase = phase;
    this.from = undefined;
    this.sent = -Infinity;
    this.tell({ ...this.last, fraction: 0 });
    this.sent = -Infinity;
  }

  at(fraction: number): void {
    this.trained({ ...this.last, fraction });
  }

  trained(progress: TrainedProgress): void {
    if (this.from === undefined) {
      this.from = progress.fraction;
      this.began = this.clock();
    }
    this.tell(progress);
  }

  private tell(progress: TrainedProgress): void {
    this.last = progress;
    const now = this.clock();
    if (now - this.sent < leastMilliseconds && progress.fraction < 1) return;
    this.sent = now;
    this.send({ ...progress, phase: this.phase, secondsLeft: this.secondsLeft(progress.fraction) });
  }

  private secondsLeft(fraction: number): number | null {
    this.learn(fraction);
    if (!this.later) return null;
    const here = (this.here?.seconds ?? 0) * (1 - fraction);
    return this.later.reduce((sum, { seconds }) => sum + seconds, here);
  }

  /** Corrects what is expected of the phase by what it has taken. */
  private learn(fraction: number): void {
    const spent = (this.clock() - this.began) / 1000;
    const done = fraction - (this.from ?? fraction);
    if (done <= leastSeen.share || spent <= leastSeen.seconds) return;
    this.here = { phase: this.phase, seconds: spent / done };
  }
}
