import type * as vscode from 'vscode';
import type { Port } from '../../messages/connection.ts';

/** A webview as a port; `onDidDispose` is its view's or panel's. */
export function webviewPort(webview: vscode.Webview, onDidDispose: vscode.Event<void>): Port {
  return {
    // false: the page is hidden or gone; the next page asks for everything anew.
    post: async message => {
      await webview.postMessage(message);
    },
    onMessage: listener => webview.onDidReceiveMessage(listener),
    onClose: listener => onDidDispose(() => listener()),
  };
}
