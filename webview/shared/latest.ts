/**
 * Hands values on at most once per animation frame and one at a time: while one is under way only the newest waits,
 * and a value that the receiver has already is not handed on.
 */
export class Latest<T> {
  private readonly send: (value: T) => Promise<unknown>;
  private readonly same: (a: T, b: T) => boolean;
  private known: T | undefined;
  private waiting: T | undefined;
  private running = false;

  constructor(send: (value: T) => Promise<unknown>, same: (a: T, b: T) => boolean = Object.is) {
    this.send = send;
    this.same = same;
  }

  /** Whether the receiver has yet to be told something. */
  get busy(): boolean {
    return this.running;
  }

  /** What the receiver says it has now; ignored while something newer is on its way. */
  accept(value: T): void {
    if (!this.running) this.known = value;
  }

  push(value: T): void {
    this.waiting = value;
    if (this.running) return;
    this.running = true;
    requestAnimationFrame(() => void this.drain());
  }

  private async drain(): Promise<void> {
    while (this.waiting !== undefined) {
      const value = this.waiting;
      this.waiting = undefined;
      if (this.known !== undefined && this.same(this.known, value)) continue;
      this.known = value;
      try {
        await this.send(value);
      } catch {
        // What the receiver holds now is unknown: the next value is sent whatever it is.
        this.known = undefined;
      }
    }
    this.running = false;
  }
}
