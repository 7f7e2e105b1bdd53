import 'vscode-jsonrpc/browser'; // gives vscode-jsonrpc its timers
import { connect, type Connection } from './connection.ts';
import { pagePort, type HostEnd } from './session.ts';

/** The page's end of a webview. The host hears of this page at its first call. */
export function connectHost(host: HostEnd): Connection {
  return connect(pagePort(host));
}
