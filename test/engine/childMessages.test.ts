import assert from 'node:assert/strict';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Failure } from '../../src/common/failure.ts';
import { createCaller } from '../../src/messages/calls.ts';
import { connectChild } from '../../src/messages/childProcess.ts';
import type { CountingChild } from '../fixtures/countingChild.ts';

const program = fileURLToPath(new URL('../fixtures/countingChild.ts', import.meta.url));
const children: ChildProcess[] = [];

function start() {
  const child = fork(program, {
    serialization: 'advanced',
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  children.push(child);
  return { child, caller: createCaller<CountingChild>(connectChild(child)) };
}

const failure = (code: Failure['code']) => (error: unknown) => Failure.is(error, code);

describe('messages with a forked process', () => {
  after(() => {
    for (const child of children) child.kill('SIGKILL');
  });

  it('bring typed arrays there and back, views too', async () => {
    const { caller } = start();
    const arrays = [Float32Array.of(1, NaN, -0), new Float32Array(16).fill(2).subarray(4, 7)];
    assert.deepEqual(await caller.call('echo', arrays), arrays);
  });

  it('bring progress in order, all of it before the result', async () => {
    const { caller } = start();
    const seen: number[] = [];
    const onProgress = (part: Uint32Array): unknown => seen.push(part[1] ?? NaN);
    assert.equal(await caller.call('count', { to: 20 }, { onProgress }), 20);
    assert.deepEqual(
      seen,
      Array.from({ length: 20 }, (_, i) => i * i),
    );
  });

  it('cancel: the call settles and the handler stops', async () => {
    const { caller } = start();
    const abort = new AbortController();
    const onProgress = (i: number): void => {
      if (i === 3) abort.abort();
    };
    const call = caller.call('spin', null, { signal: abort.signal, onProgress });
    await assert.rejects(call, failure('cancelled'));
    assert.equal(await caller.call('count', { to: 1 }), 1);
  });

  it('settle as stopped when the process is killed, and so do later calls', async () => {
    const { child, caller } = start();
    await caller.call('count', { to: 1 });
    const pending = [caller.call('never', null), caller.call('spin', null)];
    child.kill('SIGKILL');
    for (const call of pending) await assert.rejects(call, failure('stopped'));
    await assert.rejects(caller.call('count', { to: 1 }), failure('stopped'));
  });

  it('settle as stopped when the process ends by itself', async () => {
    const { child, caller } = start();
    await assert.rejects(caller.call('exit', { code: 3 }), failure('stopped'));
    if (child.exitCode === null) await once(child, 'exit');
    assert.equal(child.exitCode, 3);
  });

  it('settle when the process never started or is already gone', async () => {
    const missing = fork('no such program.js', { serialization: 'advanced', stdio: 'ignore' });
    const call = createCaller<CountingChild>(connectChild(missing)).call('never', null);
    await assert.rejects(call, failure('stopped'));
    const late = createCaller<CountingChild>(connectChild(missing)).call('never', null);
    await assert.rejects(late, failure('stopped'));
  });
});
