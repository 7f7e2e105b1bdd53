import 'vscode-jsonrpc/node'; // gives vscode-jsonrpc its timers
import { Emitter } from 'vscode-jsonrpc';
import { DisposableStore, DisposableValue, type Disposable } from '../common/disposable.ts';
import { connect, type Connection, type Port } from './connection.ts';
import { isSessionMessage, type SessionMessage } from './session.ts';

/**
 * The extension host's end of a webview. A webview's page is thrown away when it is hidden and loaded anew when it is
 * shown: each page gets a connection of its own, and `accept` is called with it when the page first speaks. Calls
 * pending with the page before are settled as `stopped`. The port's closing closes the last connection.
 */
export function acceptPages(port: Port, accept: (connection: Connection) => void): Disposable {
  const owned = new DisposableStore();
  const current = owned.register(new DisposableValue<Connection>());
  const incoming = owned.register(new Emitter<unknown>());
  let session: string | undefined;
  owned.register(
    port.onMessage(received => {
      if (!isSessionMessage(received)) return;
      if (received.session !== session) {
        session = received.session;
        current.value = undefined;
        const connection = connect(sessionPort(port, session, incoming));
        current.value = connection;
        accept(connection);
      }
      incoming.fire(received.message);
    }),
  );
  owned.register(port.onClose(() => owned.dispose()));
  return owned;
}

function sessionPort(port: Port, session: string, incoming: Emitter<unknown>): Port {
  return {
    post: message => port.post({ session, message } satisfies SessionMessage),
    onMessage: listener => incoming.event(listener),
    onClose: listener => port.onClose(listener),
  };
}
