import type { RouterFitPhase } from '../../contracts/routerFit.ts';
import type { RouterFitProgress } from '../../contracts/trainer.ts';
import { leastMilliseconds, untrained } from '../training/untrained.ts';
import type { FitState } from './routerFitState.ts';

/** Steps that the loss is averaged over. */
const averaged = 10;

/** Tells how a fit stands, a few times a second, and how long it will still take; pauses are not counted. */
export class FitReporter {
  private readonly send: (progress: RouterFitProgress) => void;
  private progress: RouterFitProgress = { ...untrained, phase: 'loading', secondsLeft: null };
  private sent = 0;
  private tokensPerStep = 0;
  /** Of this sitting: when its steps began, the step that it began at, and milliseconds of pauses since. */
  private began = 0;
  private from = 0;
  private pauses = 0;

  constructor(send: (progress: RouterFitProgress) => void) {
    this.send = send;
  }

  enter(phase: RouterFitPhase): void {
    this.tell({ phase, fraction: 0, secondsLeft: null }, true);
  }

  at(fraction: number): void {
    this.tell({ fraction }, fraction === 1);
  }

  /** The steps begin, or go on. */
  begin(state: FitState, fit: { readonly steps: number; readonly tokensPerStep: number }): void {
    this.tokensPerStep = fit.tokensPerStep;
    this.began = performance.now();
    this.from = state.step;
    this.pauses = 0;
    this.progress = { ...this.progress, phase: 'fitting', steps: fit.steps };
    this.tell(this.standing(state), true);
  }

  stepped(state: FitState): void {
    const standing = this.standing(state);
    const done = state.step - this.from;
    const seconds = (performance.now() - this.began - this.pauses) / 1000;
    const secondsLeft = (seconds / done) * (this.progress.steps - state.step);
    const tokensPerSecond = (done * this.tokensPerStep) / seconds;
    this.tell({ ...standing, secondsLeft, tokensPerSecond }, standing.fraction === 1);
  }

  /** The fit is held; what this gives says that it goes on. */
  paused(): () => void {
    const since = performance.now();
    return () => {
      this.pauses += performance.now() - since;
    };
  }

  private standing({ step, curve }: FitState) {
    const last = curve.slice(-averaged);
    return {
      step,
      tokens: step * this.tokensPerStep,
      fraction: step / this.progress.steps,
      loss: last.length > 0 ? last.reduce((sum, { loss }) => sum + loss, 0) / last.length : null,
    };
  }

  private tell(change: Partial<RouterFitProgress>, isUrgent: boolean): void {
    this.progress = { ...this.progress, ...change };
    const now = performance.now();
    if (!isUrgent && now - this.sent < leastMilliseconds) return;
    this.sent = now;
    this.send(this.progress);
  }
}
