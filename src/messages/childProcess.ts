import 'vscode-jsonrpc/node'; // gives vscode-jsonrpc its timers
import type { ChildProcess, Serializable } from 'node:child_process';
import { connect, type Connection, type Port } from './connection.ts';

/** Talks to a forked child (`serialization: 'advanced'`); its end, however it comes, closes the connection. */
export function connectChild(child: ChildProcess): Connection {
  return connect(processPort(child));
}

/** Talks to the process that forked this one; its end closes the connection. */
export function connectParent(): Connection {
  return connect(processPort(process));
}

function processPort(end: ChildProcess | NodeJS.Process): Port {
  const emitter: NodeJS.EventEmitter = end;
  return {
    post: message => {
      // A failed send means that the channel is gone: 'disconnect' follows and settles every call.
      if (end.connected) end.send?.(message as Serializable, undefined, undefined, () => undefined);
    },
    onMessage: listener => listen(emitter, ['message'], listener),
    onClose: listener => {
      if (!end.connected) queueMicrotask(listener);
      // 'disconnect' comes once the last message has been read; a failed start has only 'error'.
      return listen(emitter, ['disconnect', 'error'], listener);
    },
  };
}

function listen(
  emitter: NodeJS.EventEmitter,
  events: readonly string[],
  listener: (value: unknown) => void,
) {
  for (const event of events) emitter.on(event, listener);
  return {
    dispose: () => {
      for (const event of events) emitter.off(event, listener);
    },
  };
}
