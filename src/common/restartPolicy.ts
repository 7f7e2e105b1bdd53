/** How a process that stopped by itself is started again, if it is. */
export type Restart = 'as it was' | 'on the CPU' | 'no';

/** Decides whether a process that stopped by itself is started again: not if it also did within the last minute. */
export class RestartPolicy {
  private lastStop = -Infinity;

  /** Notes a stop at the time `now`, in milliseconds, and says whether to start again. */
  stopped(now: number): boolean {
    const restart = now - this.lastStop > 60_000;
    this.lastStop = now;
    return restart;
  }

  /**
   * The same for a process that ran on a device other than the CPU: where it stopped again, the device's driver may be to
   * blame, and the next one leaves it.
   */
  stoppedOn(now: number, device: string | undefined): Restart {
    if (this.stopped(now)) return 'as it was';
    return device === undefined ? 'no' : 'on the CPU';
  }
}
