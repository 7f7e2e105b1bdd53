import { mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

const beat = 4_000;
const stale = 15_000;

/**
 * Lets one extension host at a time train in a workspace: a file that its owner touches every few seconds. A window
 * that is loaded again may meet the host of the one before, which takes a moment to end.
 */
export class TrainingLock {
  private readonly path: string;
  private timer: NodeJS.Timeout | undefined;
  private owned = false;

  constructor(path: string) {
    this.path = path;
  }

  /** Calls back once the lock is this host's; `waiting` is called where another host has it now. */
  acquire(acquired: () => void, waiting: () => void): void {
    if (this.take()) {
      acquired();
      return;
    }
    waiting();
    this.timer = setInterval(() => {
      if (this.owned || !this.take()) return;
      acquired();
    }, 1_000);
  }

  dispose(): void {
    clearInterval(this.timer);
    if (this.owned) rmSync(this.path, { force: true });
    this.owned = false;
  }

  private take(): boolean {
    if (isHeld(this.path)) return false;
    try {
      mkdirSync(dirname(this.path), { recursive: true });
      rmSync(this.path, { force: true });
      writeFileSync(this.path, process.pid.toString(), { flag: 'wx' });
    } catch {
      return false; // another window was faster, or the storage cannot be written
    }
    this.owned = true;
    clearInterval(this.timer);
    this.timer = setInterval(() => this.touch(), beat);
    return true;
  }

  private touch(): void {
    const now = new Date();
    try {
      utimesSync(this.path, now, now);
    } catch {
      // The storage is gone with its workspace.
    }
  }
}

function isHeld(path: string): boolean {
  try {
    if (Date.now() - statSync(path).mtimeMs > stale) return false;
    const owner = Number(readFileSync(path, 'utf8'));
    return owner > 0 && owner !== process.pid && isAlive(owner);
  } catch {
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
