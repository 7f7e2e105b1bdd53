import 'vscode-jsonrpc/browser'; // gives vscode-jsonrpc its timers
import type { Disposable } from '../common/disposable.ts';
import { connect, type Connection } from './connection.ts';
import { isSessionMessage, type SessionMessage } from './session.ts';

/** What the page has of its host: VS Code's API object and the window, or a test's stand-ins. */
export interface HostEnd {
  post(message: unknown): void;
  onMessage(listener: (message: unknown) => void): Disposable;
}

/** The page's end of a webview. The host hears of this page at its first call. */
export function connectHost(host: HostEnd): Connection {
  const session = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
  return connect({
    post: message => host.post({ session, message } satisfies SessionMessage),
    onMessage: listener =>
      host.onMessage(received => {
        if (isSessionMessage(received) && received.session === session) listener(received.message);
      }),
    // The host outlives its pages.
    onClose: () => ({ dispose: () => undefined }),
  });
}
