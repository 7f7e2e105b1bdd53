import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, it } from 'node:test';
import { TrainingLock } from '../../src/editor/training/trainingLock.ts';

const folder = mkdtempSync(join(tmpdir(), 'loupe-lock-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, 'lock', 'owner');
mkdirSync(join(folder, 'lock'));

const self = process.pid.toString();
const other = process.ppid.toString();
const rhythm = { beat: 100, stale: 500, look: 20 };
const locks: TrainingLock[] = [];
afterEach(() => {
  for (const lock of locks.splice(0)) lock.dispose();
  rmSync(path, { force: true });
});

/** A lock that is asked for, and what becomes of it. */
function window(): { readonly lock: TrainingLock; readonly events: string[] } {
  const lock = new TrainingLock(path, rhythm);
  locks.push(lock);
  const events: string[] = [];
  const note = (event: string) => (): void => void events.push(event);
  lock.acquire({
    acquired: note('acquired'),
    waiting: note('waiting'),
    lost: note('lost'),
  });
  return { lock, events };
}

function write(owner: string, age = 0): void {
  writeFileSync(path, owner);
  const then = new Date(Date.now() - age);
  utimesSync(path, then, then);
}

async function until(events: readonly string[], event: string): Promise<void> {
  for (const end = Date.now() + 5_000; !events.includes(event);) {
    assert.ok(Date.now() < end, `never ${event}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

describe('the lock of a workspace’s trainings', () => {
  it('goes to the next window when its owner has ended', async () => {
    write(other);
    const { lock, events } = window();
    assert.deepEqual(events, ['waiting']);
    rmSync(path); // as its owner does when it ends
    await until(events, 'acquired');
    assert.equal(readFileSync(path, 'utf8'), self);
    lock.dispose();
    assert.ok(!existsSync(path));
  });

  it('is taken at once from an owner that is dead or nobody', () => {
    for (const owner of ['2147483646', 'junk', self]) {
      write(owner);
      const { lock, events } = window();
      assert.deepEqual(events, ['acquired'], owner);
      lock.dispose();
    }
  });

  it('stays with an owner that lives and gives a sign again, as after the machine has slept', async () => {
    write(other, 60_000);
    const { events } = window();
    assert.deepEqual(events, ['waiting']);
    await new Promise(resolve => setTimeout(resolve, 60)); // less than the beat that it has
    write(other);
    await new Promise(resolve => setTimeout(resolve, 250));
    assert.deepEqual(events, ['waiting']);
  });

  it('is taken from an owner that lives and stays silent for another beat', async () => {
    write(other, 60_000);
    const { events } = window();
    await until(events, 'acquired');
    assert.deepEqual(events, ['waiting', 'acquired']);
  });

  it('is let go of by an owner from which it was taken, and waited for', async () => {
    const { lock, events } = window();
    write(other);
    await until(events, 'lost');
    lock.dispose();
    assert.equal(readFileSync(path, 'utf8'), other, 'it is not its own to delete');
    const second = window();
    assert.deepEqual(second.events, ['waiting']);
    rmSync(path);
    await until(second.events, 'acquired');
    write(other);
    await until(second.events, 'lost');
    second.events.length = 0;
    rmSync(path);
    await until(second.events, 'acquired');
  });
});
