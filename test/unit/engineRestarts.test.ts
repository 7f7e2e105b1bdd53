import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EngineRestarts } from '../../src/editor/engine/engineRestarts.ts';

const reason = 'signal SIGSEGV';
const minute = 60_000;
const left =
  'The engine stopped twice on WebGPU (signal SIGSEGV), and the CPU goes on until the engine is restarted.';

describe('an engine that stops', () => {
  it('on a device that takes minutes to load is started again there once, and then on the CPU', () => {
    const restarts = new EngineRestarts();
    const on = { used: 'webgpu', asked: 'auto' } as const;
    assert.deepEqual(restarts.stopped(0, reason, on), { reason, restarting: true });
    assert.equal(restarts.insteadOfDevice, undefined);
    const second = restarts.stopped(2 * minute, reason, on);
    assert.deepEqual(second, { reason, restarting: true, insteadOfDevice: left });
    assert.equal(restarts.insteadOfDevice, left);
  });

  it('on the CPU hours later is told as that, and stays on the CPU with the reason why', () => {
    const restarts = new EngineRestarts();
    const on = { used: 'webgpu', asked: 'webgpu' } as const;
    restarts.stopped(0, reason, on);
    restarts.stopped(minute, reason, on);
    const later = restarts.stopped(200 * minute, 'exit code 1', { ...on, used: 'cpu' });
    assert.deepEqual(later, { reason: 'exit code 1', restarting: true });
    assert.equal(restarts.insteadOfDevice, left);
    const soon = restarts.stopped(200.5 * minute, 'exit code 1', { ...on, used: 'cpu' });
    assert.deepEqual(soon, { reason: 'exit code 1', restarting: false });
  });

  it('while its model is loaded has stopped on the device that is asked for', () => {
    const restarts = new EngineRestarts();
    const on = { used: undefined, asked: 'auto' } as const;
    restarts.stopped(0, reason, on);
    const { insteadOfDevice } = restarts.stopped(1, reason, on);
    // Whatever it would have taken, which nobody knows.
    assert.match(
      insteadOfDevice ?? '',
      /stopped twice while it loaded the model \(.*the CPU goes on/,
    );
    const started = { used: undefined, asked: undefined };
    assert.equal(new EngineRestarts().stopped(0, reason, started).restarting, true);
  });

  it('as it is killed while auto loads its model is not said to have left a device', () => {
    const killed = 'signal SIGKILL';
    const on = { used: undefined, asked: 'auto' } as const;
    const restarts = new EngineRestarts();
    assert.deepEqual(restarts.stopped(0, killed, on), { reason: killed, restarting: true });
    const second = restarts.stopped(minute / 2, killed, on);
    assert.deepEqual(second, { reason: killed, restarting: false });
    assert.equal(restarts.insteadOfDevice, undefined);
    // Where the device is known, it is left as ever.
    for (const known of [
      { used: 'webgpu', asked: 'auto' },
      { used: undefined, asked: 'webgpu' },
    ] as const) {
      const others = new EngineRestarts();
      others.stopped(0, killed, known);
      assert.match(others.stopped(1, killed, known).insteadOfDevice ?? '', /on WebGPU/);
    }
  });

  it('after the user has restarted it has not stopped before', () => {
    const restarts = new EngineRestarts();
    restarts.stopped(0, reason, { used: 'webgpu', asked: 'webgpu' });
    restarts.forget();
    const stop = restarts.stopped(minute, reason, { used: 'cuda', asked: 'cuda' });
    assert.deepEqual(stop, { reason, restarting: true });
    assert.equal(restarts.insteadOfDevice, undefined);
  });
});
