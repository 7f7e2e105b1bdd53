/** How a process that stopped by itself is started again, if it is. */
export type Restart = 'as it was' | 'on the CPU' | 'no';

/** A process that stops again so soon, in milliseconds, is not started again. */
const soon = 60_000;

/** Decides whether and how a process that stopped by itself is started again. */
export class RestartPolicy {
  private readonly deviceMemory: number;
  private lastStop: number | undefined;
  private lastStopOnDevice: number | undefined;

  /**
   * `deviceMemory`: milliseconds after which a stop on a device is forgotten. Loading a model there may take minutes, so that
   * stops that are far apart may all be the device's.
   */
  constructor(deviceMemory = 30 * 60_000) {
    this.deviceMemory = deviceMemory;
  }

  /**
   * Notes a stop at the time `now`, in milliseconds, of a process that ran on that device; undefined: on the CPU alone. A second
   * stop on a device leaves it, as its driver may be to blame; on the CPU the second within a minute is the last.
   */
  stoppedOn(now: number, device: string | undefined): Restart {
    const isSoon = within(soon, this.lastStop, now);
    this.lastStop = now;
    if (device === undefined) return isSoon ? 'no' : 'as it was';
    const isAgain = within(this.deviceMemory, this.lastStopOnDevice, now);
    this.lastStopOnDevice = now;
    return isAgain ? 'on the CPU' : 'as it was';
  }
}

function within(span: number, before: number | undefined, now: number): boolean {
  return before !== undefined && now - before <= span;
}
