import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Gate } from '../../src/common/gate.ts';

/** Whether a promise is settled once everything that can happen now has happened. */
async function settles(promise: Promise<void>): Promise<boolean> {
  let isSettled = false;
  void promise.then(() => (isSettled = true));
  await new Promise(resolve => setImmediate(resolve));
  return isSettled;
}

describe('Gate', () => {
  it('is passed while it is open', async () => {
    const gate = new Gate();
    assert.equal(gate.isClosed, false);
    assert.ok(await settles(gate.pass()));
    gate.open();
    assert.ok(await settles(gate.pass()));
  });

  it('holds all who come while it is closed, until it opens', async () => {
    const gate = new Gate();
    gate.close();
    gate.close();
    assert.equal(gate.isClosed, true);
    const waiting = [gate.pass(), gate.pass(new AbortController().signal)];
    for (const one of waiting) assert.equal(await settles(one), false);
    gate.open();
    assert.equal(gate.isClosed, false);
    for (const one of waiting) assert.ok(await settles(one));
  });

  it('goes on holding where it is closed again at once', async () => {
    const gate = new Gate();
    gate.close();
    const waiting = gate.pass();
    gate.open();
    gate.close();
    assert.equal(await settles(waiting), false);
    gate.open();
    assert.ok(await settles(waiting));
  });

  it('lets go where the signal aborts, before and while it is closed', async () => {
    const gate = new Gate();
    gate.close();
    const stop = new AbortController();
    const waiting = gate.pass(stop.signal);
    assert.equal(await settles(waiting), false);
    stop.abort();
    assert.ok(await settles(waiting));
    assert.ok(await settles(gate.pass(stop.signal)));
    assert.equal(gate.isClosed, true);
  });

  it('counts the time for which it was open', () => {
    let now = 100;
    const gate = new Gate(() => now);
    gate.open();
    now = 110;
    assert.equal(gate.openTime, 10);
    gate.close();
    now = 200;
    gate.close();
    now = 300;
    assert.equal(gate.openTime, 10);
    gate.open();
    now = 305;
    assert.equal(gate.openTime, 15);
  });
});
