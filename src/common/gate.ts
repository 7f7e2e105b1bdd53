/** Something that work passes while it is open and waits at while it is closed: how long work is paused. */
export class Gate {
  private opened: Promise<void> | undefined;
  private release: (() => void) | undefined;
  private readonly now: () => number;
  /** Since when it is as it is, and how long it was open before that. */
  private since: number;
  private openBefore = 0;

  /** `now`: a clock, in milliseconds. */
  constructor(now: () => number = Date.now) {
    this.now = now;
    this.since = now();
  }

  /** Milliseconds for which it has been open: a clock that stands still while work is paused. */
  get openTime(): number {
    return this.openBefore + (this.isClosed ? 0 : this.now() - this.since);
  }

  get isClosed(): boolean {
    return this.opened !== undefined;
  }

  close(): void {
    if (this.isClosed) return;
    this.openBefore = this.openTime;
    this.opened = new Promise(resolve => {
      this.release = resolve;
    });
  }

  open(): void {
    if (!this.isClosed) return;
    this.since = this.now();
    this.release?.();
    this.opened = undefined;
  }

  /** Resolves when the gate is open, or at once when the signal aborts: the caller looks at its signal anyway. */
  async pass(signal?: GateSignal): Promise<void> {
    while (this.opened && !signal?.aborted) {
      await Promise.race([this.opened, abortOf(signal)]);
    }
  }
}

/** What of an AbortSignal is needed here, where no platform's types are at hand. */
interface GateSignal {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void, options: { readonly once: true }): void;
}

function abortOf(signal: GateSignal | undefined): Promise<void> {
  return new Promise(resolve => {
    signal?.addEventListener('abort', () => resolve(), { once: true });
  });
}
