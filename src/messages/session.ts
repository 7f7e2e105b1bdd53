import type { Disposable } from '../common/disposable.ts';
import type { Port } from './connection.ts';

/** What travels between a webview's page and the extension host: `session` tells one load of the page from the next. */
export interface SessionMessage {
  readonly session: string;
  readonly message: unknown;
}

export function isSessionMessage(value: unknown): value is SessionMessage {
  return (
    typeof value === 'object' &&
    value !== null &&
    'session' in value &&
    typeof value.session === 'string' &&
    'message' in value
  );
}

/** What a page has of its host: VS Code's API object and the window, or a test's stand-ins. */
export interface HostEnd {
  post(message: unknown): void;
  onMessage(listener: (message: unknown) => void): Disposable;
}

/** A page's port to its host, under a session of its own. It never closes: the host outlives its pages. */
export function pagePort(host: HostEnd): Port {
  const session = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
  return {
    post: message => host.post({ session, message } satisfies SessionMessage),
    onMessage: listener =>
      host.onMessage(received => {
        if (isSessionMessage(received) && received.session === session) listener(received.message);
      }),
    onClose: () => ({ dispose: () => undefined }),
  };
}
