import type { Contract } from '../../src/contracts/call.ts';
import { createCaller, serve, type Caller, type Handlers } from '../../src/messages/calls.ts';
import { connectHost } from '../../src/messages/webview.ts';
import { announce } from './announce.ts';

/** What VS Code gives a webview, once: it is kept in this module and nowhere else. */
interface VsCodeApi {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
}

declare function acquireVsCodeApi(): VsCodeApi;

const api = acquireVsCodeApi();

/** Answers the host's calls (V) and gives the means to call it (H). */
export function openHost<H extends Contract<H>, V extends Contract<V>>(
  handlers: Handlers<V>,
): Caller<H> {
  const connection = connectHost({
    post: message => api.postMessage(message),
    onMessage: listener => {
      const receive = (event: MessageEvent): void => listener(event.data);
      window.addEventListener('message', receive);
      return { dispose: () => window.removeEventListener('message', receive) };
    },
  });
  serve<V>(connection, handlers);
  return createCaller<H>(connection);
}

/** Runs a call whose answer nobody waits for; the host shows its own failures, the live region says this one. */
export function send(call: Promise<unknown>): void {
  call.catch((error: unknown) => announce(error instanceof Error ? error.message : String(error)));
}

/** The page's own state (scrolling, focus), numbers only: it outlives the page, not the window. */
export type KeptState = Readonly<Record<string, number>>;

export function readKeptState(): KeptState {
  const kept = api.getState();
  if (typeof kept !== 'object' || kept === null) return {};
  return Object.fromEntries(
    Object.entries(kept).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  );
}

/** Keeps `change` beside what was kept before. */
export function keepState(change: KeptState): void {
  api.setState({ ...readKeptState(), ...change });
}
