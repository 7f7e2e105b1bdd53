import { CancellationTokenSource, ProgressType, type CancellationToken } from 'vscode-jsonrpc';
import { DisposableStore, type Disposable } from '../common/disposable.ts';
import { Failure } from '../common/failure.ts';
import type { Contract } from '../contracts/call.ts';
import type { Connection } from './connection.ts';
import { cancelled, fromWire, toWire } from './wireFailure.ts';

export interface CallOptions<Progress> {
  /** Aborting it settles the call at once with a `cancelled` failure and aborts the handler's signal. */
  readonly signal?: AbortSignal | undefined;
  /** Called in the order of the reports, never after the call has settled. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** The calling side of a contract. Every call settles: its result, or a Failure (`cancelled`, `stopped`, or the handler's). */
export interface Caller<C extends Contract<C>> {
  call<M extends keyof C & string>(
    method: M,
    input: C[M]['in'],
    options?: CallOptions<C[M]['progress']>,
  ): Promise<C[M]['out']>;
}

export interface CallContext<Progress> {
  /** Aborted when the caller cancels or is gone. */
  readonly signal: AbortSignal;
  /** Does nothing once the call has settled. */
  readonly report: (progress: Progress) => void;
}

/** One function per call of a contract. What it throws reaches the caller as a Failure. */
export type Handlers<C extends Contract<C>> = {
  readonly [M in keyof C]: (
    input: C[M]['in'],
    context: CallContext<C[M]['progress']>,
  ) => Promise<C[M]['out']> | C[M]['out'];
};

/** What travels as the parameters of a request. */
interface Envelope {
  readonly input: unknown;
  /** Token under which progress is sent; absent where the caller does not listen. */
  readonly progress: string | undefined;
}

const progressType = new ProgressType<unknown>();

/** Number of the next progress token, unique on this side of every connection. */
let nextToken = 0;

export function createCaller<C extends Contract<C>>(connection: Connection): Caller<C> {
  return {
    call: (method, input, options = {}) => request(connection, method, input, options),
  };
}

/** Answers a contract's calls on this connection until it is closed. */
export function serve<C extends Contract<C>>(connection: Connection, handlers: Handlers<C>): void {
  for (const method of Object.keys(handlers)) {
    const handler = handlers[method as keyof C];
    connection.rpc.onRequest(method, (envelope: Envelope, token: CancellationToken) =>
      answer(connection, handler, envelope, token),
    );
  }
}

async function request<Out, Progress>(
  connection: Connection,
  method: string,
  input: unknown,
  { signal, onProgress }: CallOptions<Progress>,
): Promise<Out> {
  if (signal?.aborted) throw cancelled(method);
  const source = new CancellationTokenSource();
  const owned = new DisposableStore();
  owned.register(source);
  try {
    const progress = onProgress && `p${nextToken++}`;
    // Settles before the answer where the caller aborts or its own progress listener throws.
    const early = new Promise<never>((_resolve, reject) => {
      const give = (reason: Error): void => {
        source.cancel();
        reject(reason);
      };
      if (signal) owned.register(onAbort(signal, () => give(cancelled(method))));
      if (progress === undefined) return;
      const listen = guard((value: unknown) => onProgress?.(value as Progress), give);
      owned.register(connection.rpc.onProgress(progressType, progress, listen));
    });
    const envelope: Envelope = { input, progress };
    const answered = connection.rpc.sendRequest<Out>(method, envelope, source.token);
    return await Promise.race([answered, early]);
  } catch (error) {
    throw fromWire(error, method);
  } finally {
    owned.dispose();
  }
}

async function answer<Out, Progress>(
  connection: Connection,
  handler: (input: never, context: CallContext<Progress>) => Promise<Out> | Out,
  envelope: Envelope,
  token: CancellationToken,
): Promise<Out> {
  const controller = new AbortController();
  const abort = (): void => controller.abort(cancelled());
  const owned = new DisposableStore();
  owned.register(token.onCancellationRequested(abort));
  owned.register(connection.onClose(abort));
  let settled = false;
  const report = (value: Progress): void => {
    const { progress } = envelope;
    if (settled || controller.signal.aborted || progress === undefined) return;
    connection.rpc.sendProgress(progressType, progress, value).catch(abort);
  };
  try {
    return await handler(envelope.input as never, { signal: controller.signal, report });
  } catch (error) {
    throw toWire(error);
  } finally {
    settled = true;
    owned.dispose();
  }
}

function onAbort(signal: AbortSignal, listener: () => void): Disposable {
  signal.addEventListener('abort', listener, { once: true });
  return { dispose: () => signal.removeEventListener('abort', listener) };
}

/** `action`, with what it throws handed to `failed`: vscode-jsonrpc would swallow it. */
function guard<A>(action: (argument: A) => void, failed: (error: Error) => void) {
  return (argument: A): void => {
    try {
      action(argument);
    } catch (error) {
      failed(Failure.from(error));
    }
  };
}
