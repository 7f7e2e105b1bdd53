import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import type { Call } from '../../src/contracts/call.ts';
import { createCaller, serve, type CallContext, type Handlers } from '../../src/messages/calls.ts';
import { connect } from '../../src/messages/connection.ts';
import { inMemoryPair, inMemoryPorts } from '../fixtures/inMemory.ts';

interface Counting {
  echo: Call<Float32Array, Float32Array>;
  nothing: Call<null, null>;
  count: Call<{ readonly to: number }, number, { readonly at: number }>;
  wait: Call<null, null, string>;
  fail: Call<{ readonly kind: 'failure' | 'error' | 'thing' | 'unclonable' }, null>;
  missing: Call<null, null>;
}

const full = new Failure('too-large', 'The file has 3 MB; 2 MB is the limit.', {
  action: 'Shorten it.',
});

function handlers(over: Partial<Handlers<Counting>> = {}): Handlers<Counting> {
  const all: Handlers<Counting> = {
    echo: input => input,
    nothing: () => null,
    count: ({ to }, { report }) => {
      for (let at = 1; at <= to; at++) report({ at });
      return to;
    },
    wait: (_input, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('too late to matter')));
      }),
    fail: ({ kind }) => {
      if (kind === 'failure') throw full;
      if (kind === 'error') throw new RangeError('out of range');
      if (kind === 'thing')
        return Promise.reject(Object.assign(new Error(), { message: 'a thing' }));
      return (() => undefined) as unknown as null;
    },
    missing: () => null,
  };
  return { ...all, ...over };
}

function start(over: Partial<Handlers<Counting>> = {}) {
  const [near, far] = inMemoryPair();
  serve<Counting>(far, handlers(over));
  return { near, far, caller: createCaller<Counting>(near) };
}

function deferred<T>() {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>(given => (resolve = given));
  return { promise, resolve };
}

function failsWith(code: string, message?: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof Failure, `not a Failure: ${String(error)}`);
    assert.equal(error.code, code, error.message);
    if (message) assert.match(error.message, message);
    return true;
  };
}

describe('messages', () => {
  it('brings a typed array there and back, and null', async () => {
    const { caller } = start();
    const values = Float32Array.of(1, -0, NaN, 3.5);
    assert.deepEqual(await caller.call('echo', values), values);
    assert.equal(await caller.call('nothing', null), null);
  });

  it('passes progress in order, all of it before the result', async () => {
    const { caller } = start();
    const seen: number[] = [];
    const last = await caller.call('count', { to: 50 }, { onProgress: ({ at }) => seen.push(at) });
    assert.equal(last, 50);
    assert.deepEqual(
      seen,
      Array.from({ length: 50 }, (_, i) => i + 1),
    );
  });

  it('keeps the progress of calls in flight apart', async () => {
    const { caller } = start();
    const [a, b]: [number[], number[]] = [[], []];
    await Promise.all([
      caller.call('count', { to: 3 }, { onProgress: ({ at }) => a.push(at) }),
      caller.call('count', { to: 5 }, { onProgress: ({ at }) => b.push(at) }),
    ]);
    assert.deepEqual([a.length, b.length], [3, 5]);
  });

  it('settles an aborted call at once, even when its handler never looks', async () => {
    const { caller } = start({ wait: () => new Promise(() => undefined) });
    const abort = new AbortController();
    const call = caller.call('wait', null, { signal: abort.signal });
    abort.abort();
    await assert.rejects(call, failsWith('cancelled', /'wait' was cancelled/));
    await assert.rejects(caller.call('wait', null, abort), failsWith('cancelled'));
    assert.equal(await caller.call('nothing', null), null);
  });

  it("aborts the handler's signal with a cancelled failure", async () => {
    const reached = deferred<unknown>();
    const begun = deferred<undefined>();
    const { caller } = start({
      wait: (_input, { signal }) => {
        begun.resolve(undefined);
        return new Promise(() =>
          signal.addEventListener('abort', () => reached.resolve(signal.reason)),
        );
      },
    });
    const abort = new AbortController();
    const call = caller.call('wait', null, { signal: abort.signal });
    await begun.promise;
    abort.abort();
    await assert.rejects(call, failsWith('cancelled'));
    failsWith('cancelled')(await reached.promise);
  });

  it('drops progress that comes after the call has settled', async () => {
    let context: CallContext<string> | undefined;
    const { caller } = start({
      wait: (_input, given) => {
        context = given;
        given.report('in time');
        return null;
      },
    });
    const seen: string[] = [];
    await caller.call('wait', null, { onProgress: text => seen.push(text) });
    context?.report('late');
    await caller.call('nothing', null);
    assert.deepEqual(seen, ['in time']);
  });

  it('keeps code, message and action of a failure', async () => {
    const { caller } = start();
    await assert.rejects(caller.call('fail', { kind: 'failure' }), (error: unknown) => {
      failsWith('too-large', /^The file has 3 MB; 2 MB is the limit\.$/)(error);
      assert.equal((error as Failure).action, 'Shorten it.');
      return true;
    });
  });

  it('turns whatever else is thrown into an internal failure', async () => {
    const { caller } = start();
    await assert.rejects(
      caller.call('fail', { kind: 'error' }),
      failsWith('internal', /out of range/),
    );
    await assert.rejects(caller.call('fail', { kind: 'thing' }), failsWith('internal', /a thing/));
  });

  it('settles when a result or an input cannot be sent', async () => {
    const { caller } = start();
    await assert.rejects(caller.call('fail', { kind: 'unclonable' }), failsWith('internal'));
    const input = { to: 1, then: () => undefined };
    await assert.rejects(caller.call('count', input), failsWith('internal'));
    assert.equal(await caller.call('nothing', null), null);
  });

  it("fails the call whose caller's progress listener throws", async () => {
    const { caller } = start();
    const onProgress = (): never => {
      throw new Error('listener broke');
    };
    await assert.rejects(
      caller.call('count', { to: 2 }, { onProgress }),
      failsWith('internal', /listener broke/),
    );
  });

  it('says which call nobody answers', async () => {
    const [near] = inMemoryPair();
    const call = createCaller<Counting>(near).call('missing', null);
    await assert.rejects(call, failsWith('internal', /missing/));
  });

  it('settles pending calls as stopped when the far side is gone, and later calls too', async () => {
    const [near, far] = inMemoryPorts();
    const caller = createCaller<Counting>(connect(near));
    const aborted = deferred<undefined>();
    const begun = deferred<undefined>();
    const wait: Handlers<Counting>['wait'] = (_input, { signal }) => {
      begun.resolve(undefined);
      return new Promise(() => signal.addEventListener('abort', () => aborted.resolve(undefined)));
    };
    serve<Counting>(connect(far), handlers({ wait }));
    const pending = caller.call('wait', null);
    await begun.promise;
    near.close();
    await assert.rejects(pending, failsWith('stopped', /'wait'/));
    await assert.rejects(caller.call('nothing', null), failsWith('stopped'));
    await aborted.promise;
  });

  it('refuses wrong input when compiled, and when run', async () => {
    const { caller } = start();
    // @ts-expect-error: no such call
    await assert.rejects(caller.call('absent', null), failsWith('internal', /absent/));
    // @ts-expect-error: `to` is a number
    assert.equal(await caller.call('count', { to: '2' }), '2');
  });

  it('serves both ways over one connection', async () => {
    const { near, far } = start();
    serve<Counting>(near, handlers());
    assert.equal(await createCaller<Counting>(far).call('count', { to: 2 }), 2);
  });
});
