import 'vscode-jsonrpc/node'; // gives vscode-jsonrpc its timers
import { Emitter } from 'vscode-jsonrpc';
import { connect, type Connection, type Port } from './connection.ts';

/** Two connected ends in one process, for tests: values pass through structuredClone as between processes. */
export function inMemoryPair(): readonly [Connection, Connection] {
  const [a, b] = inMemoryPorts();
  return [connect(a), connect(b)];
}

/** Two ports wired to each other; `close` ends both, as the death of either process would. */
export function inMemoryPorts(): readonly [InMemoryPort, InMemoryPort] {
  const closed = new Emitter<undefined>();
  const toA = new Emitter<unknown>();
  const toB = new Emitter<unknown>();
  const end = (incoming: Emitter<unknown>, outgoing: Emitter<unknown>): InMemoryPort => ({
    post: message => {
      const clone: unknown = structuredClone(message);
      queueMicrotask(() => {
        outgoing.fire(clone);
      });
    },
    onMessage: listener => incoming.event(listener),
    onClose: listener => closed.event(listener),
    close: () => {
      closed.fire(undefined);
    },
  });
  return [end(toA, toB), end(toB, toA)];
}

export interface InMemoryPort extends Port {
  close(): void;
}
