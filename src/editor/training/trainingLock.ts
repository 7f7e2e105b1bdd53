import { mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** Milliseconds. */
export interface LockRhythm {
  /** Between two signs of life of the owner. */
  readonly beat: number;
  /** An owner that has given none for so long may be gone. */
  readonly stale: number;
  /** Between two looks of one who waits. */
  readonly look: number;
}

/** What becomes of the lock. */
export interface LockEvents {
  /** It is this host's. */
  readonly acquired: () => void;
  /** Another host has it now: `acquired` follows when that has ended. */
  readonly waiting: () => void;
  /** Another host has taken it from this one, which could not be heard of; `acquired` follows when that has ended. */
  readonly lost: () => void;
}

/**
 * Lets one extension host at a time train in a workspace: a file with its owner's process id, touched every few seconds. A window
 * that is loaded again may meet the host of the one before, which takes a moment to end.
 */
export class TrainingLock {
  private readonly path: string;
  private readonly rhythm: LockRhythm;
  private timer: NodeJS.Timeout | undefined;
  private owned = false;
  /** How often in a row an owner that lives was found to have given no sign. */
  private silent = 0;

  constructor(path: string, rhythm: LockRhythm = { beat: 4_000, stale: 15_000, look: 1_000 }) {
    this.path = path;
    this.rhythm = rhythm;
  }

  acquire(events: LockEvents): void {
    if (this.take(events)) return;
    events.waiting();
    this.wait(events);
  }

  dispose(): void {
    clearInterval(this.timer);
    if (this.owned && ownerIn(this.path) === process.pid) rmSync(this.path, { force: true });
    this.owned = false;
  }

  private wait(events: LockEvents): void {
    clearInterval(this.timer);
    this.timer = setInterval(() => this.take(events), this.rhythm.look);
  }

  private take(events: LockEvents): boolean {
    if (this.isHeld()) return false;
    try {
      mkdirSync(dirname(this.path), { recursive: true });
      rmSync(this.path, { force: true });
      writeFileSync(this.path, process.pid.toString(), { flag: 'wx' });
    } catch {
      return false; // another window was faster, or the storage cannot be written
    }
    this.owned = true;
    this.silent = 0;
    clearInterval(this.timer);
    this.timer = setInterval(() => this.touch(events), this.rhythm.beat);
    events.acquired();
    return true;
  }

  private touch(events: LockEvents): void {
    const owner = ownerIn(this.path);
    if (owner !== undefined && owner !== process.pid) {
      this.owned = false;
      this.wait(events);
      events.lost();
      return;
    }
    const now = new Date();
    try {
      utimesSync(this.path, now, now);
    } catch {
      // The storage is gone with its workspace.
    }
  }

  /**
   * Whether another host has the lock. After the machine has slept, every owner seems to have been silent for long: one that lives
   * has another beat, counted in looks, as a clock goes on while the machine sleeps.
   */
  private isHeld(): boolean {
    const { beat, stale, look } = this.rhythm;
    const owner = ownerIn(this.path);
    if (owner === undefined || owner === process.pid || !isAlive(owner)) return false;
    this.silent = isOlder(this.path, stale) ? this.silent + 1 : 0;
    return this.silent * look <= 1.5 * beat;
  }
}

/** The process id that the file names; undefined where there is none. */
function ownerIn(path: string): number | undefined {
  try {
    const owner = Number(readFileSync(path, 'utf8'));
    return owner > 0 ? owner : undefined;
  } catch {
    return undefined;
  }
}

function isOlder(path: string, age: number): boolean {
  const written = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  return written !== undefined && Date.now() - written > age;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
