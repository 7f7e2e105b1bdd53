/** Decides whether a process that stopped by itself is started again: not if it also did within the last minute. */
export class RestartPolicy {
  private lastStop = -Infinity;

  /** Notes a stop at the time `now`, in milliseconds, and says whether to start again. */
  stopped(now: number): boolean {
    const restart = now - this.lastStop > 60_000;
    this.lastStop = now;
    return restart;
  }
}
