import * as vscode from 'vscode';
import type { Contract } from '../../contracts/call.ts';
import { createCaller, serve, type Caller, type Handlers } from '../../messages/calls.ts';
import { acceptPages } from '../../messages/panel.ts';
import { webviewHtml, webviewOptions, type Page } from './webviewHtml.ts';
import { webviewPort } from './webviewPort.ts';

/** What a panel shows, and who answers its page. */
export interface SinglePanelOptions<H extends Contract<H>> {
  /** As package.json's activation events know it. */
  readonly type: string;
  readonly title: string;
  readonly page: Page;
  readonly handlers: Handlers<H>;
  onOpen(panel: vscode.WebviewPanel): void;
  onClose(): void;
}

/** A panel of which a window has one: opened beside the editor, restored after a restart. */
export class SinglePanel<H extends Contract<H>, V extends Contract<V>>
  implements vscode.WebviewPanelSerializer, vscode.Disposable
{
  private readonly extension: vscode.Uri;
  private readonly options: SinglePanelOptions<H>;
  private readonly registration: vscode.Disposable;
  private shown: vscode.WebviewPanel | undefined;
  private caller: Caller<V> | undefined;

  constructor(extension: vscode.Uri, options: SinglePanelOptions<H>) {
    this.extension = extension;
    this.options = options;
    this.registration = vscode.window.registerWebviewPanelSerializer(options.type, this);
  }

  get panel(): vscode.WebviewPanel | undefined {
    return this.shown;
  }

  /** The page, once it has asked for its state. */
  get page(): Caller<V> | undefined {
    return this.caller;
  }

  show(): void {
    if (this.shown) {
      this.shown.reveal(undefined, false);
      return;
    }
    const { type, title } = this.options;
    const column = vscode.window.activeTextEditor
      ? vscode.ViewColumn.Beside
      : vscode.ViewColumn.Active;
    const options = webviewOptions(this.extension);
    this.adopt(vscode.window.createWebviewPanel(type, title, { viewColumn: column }, options));
  }

  deserializeWebviewPanel(panel: vscode.WebviewPanel): Promise<void> {
    this.adopt(panel);
    return Promise.resolve();
  }

  dispose(): void {
    this.registration.dispose();
  }

  private adopt(panel: vscode.WebviewPanel): void {
    this.shown?.dispose();
    this.shown = panel;
    const { webview } = panel;
    webview.options = webviewOptions(this.extension);
    panel.iconPath = vscode.Uri.joinPath(this.extension, 'media', 'icon.svg');
    const pages = acceptPages(webviewPort(webview, panel.onDidDispose), connection => {
      serve<H>(connection, this.options.handlers);
      this.caller = createCaller<V>(connection);
    });
    panel.onDidDispose(() => {
      pages.dispose();
      if (this.shown !== panel) return;
      [this.shown, this.caller] = [undefined, undefined];
      this.options.onClose();
    });
    this.options.onOpen(panel);
    webview.html = webviewHtml(webview, this.extension, this.options.page);
  }
}
