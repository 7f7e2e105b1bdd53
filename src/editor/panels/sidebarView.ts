import * as vscode from 'vscode';
import { DisposableStore, DisposableValue, type Disposable } from '../../common/disposable.ts';
import type { SidebarCommand, SidebarHost, SidebarView } from '../../contracts/panels.ts';
import { createCaller, serve, type Caller } from '../../messages/calls.ts';
import { acceptPages } from '../../messages/panel.ts';
import { onDidChangeSettings } from '../settings.ts';
import { sidebarState, type SidebarSources } from './sidebarState.ts';
import { webviewHtml, webviewOptions } from './webviewHtml.ts';
import { webviewPort } from './webviewPort.ts';

const redrawMilliseconds = 16;

const commands: Record<SidebarCommand, string> = {
  analyzeDocument: 'loupe.analyzeDocument',
  restartEngine: 'loupe.restartEngine',
  showLog: 'loupe.showLog',
  chooseModel: 'loupe.chooseModel',
  chooseSae: 'loupe.chooseSae',
  addDomain: 'loupe.addDomain',
  removeDomain: 'loupe.removeDomain',
  trainResidual: 'loupe.trainResidual',
};

/** The Loupe side bar: the sparsity slider, the document's metrics and its features. */
export class SidebarViewProvider implements vscode.WebviewViewProvider, vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly view = this.owned.register(new DisposableValue<Disposable>());
  private readonly extension: vscode.Uri;
  private readonly sources: SidebarSources;
  private page: Caller<SidebarView> | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(extension: vscode.Uri, sources: SidebarSources) {
    this.extension = extension;
    this.sources = sources;
    const redraw = (): void => this.schedule();
    for (const subscription of [
      vscode.window.registerWebviewViewProvider('loupe.sidebar', this),
      sources.engine.onDidChangeState(redraw),
      sources.analyzer.onDidChange(redraw),
      sources.active.onDidChange(redraw),
      sources.session.onDidChange(redraw),
      onDidChangeSettings(['features.denseAbove'], redraw),
      { dispose: () => clearTimeout(this.timer) },
    ]) {
      this.owned.register(subscription);
    }
  }

  resolveWebviewView({ webview, onDidDispose }: vscode.WebviewView): void {
    webview.options = webviewOptions(this.extension);
    this.view.value = acceptPages(webviewPort(webview, onDidDispose), connection => {
      serve<SidebarHost>(connection, this.handlers);
      const page = createCaller<SidebarView>(connection);
      this.page = page;
      connection.onClose(() => {
        if (this.page === page) this.page = undefined;
      });
    });
    webview.html = webviewHtml(webview, this.extension, 'sidebar');
  }

  dispose(): void {
    this.owned.dispose();
  }

  private readonly handlers = {
    ready: () => sidebarState(this.sources),
    setK: ({ k }: SidebarHost['setK']['in']) => this.then(() => this.sources.session.setK(k)),
    setQuery: (query: SidebarHost['setQuery']['in']) =>
      this.then(() => this.sources.session.setQuery(query)),
    pin: ({ feature }: SidebarHost['pin']['in']) =>
      this.then(() => this.sources.session.pin(feature ?? undefined)),
    openFeature: ({ feature }: SidebarHost['openFeature']['in']) =>
      execute('loupe.showFeature', feature),
    revealNext: ({ feature }: SidebarHost['revealNext']['in']) =>
      execute('loupe.revealNext', feature),
    setDomain: ({ path, on }: SidebarHost['setDomain']['in']) =>
      this.then(() => this.sources.session.setDomain(path, on)),
    setCompare: ({ on }: SidebarHost['setCompare']['in']) =>
      this.then(() => this.sources.session.setCompare(on)),
    run: ({ command }: SidebarHost['run']['in']) =>
      Object.hasOwn(commands, command) ? execute(commands[command]) : null,
  };

  private then(act: () => void): null {
    act();
    return null;
  }

  /** Many changes come at once: one snapshot answers them. */
  private schedule(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      // A page that goes away meanwhile asks for the state when it comes back.
      this.page?.call('show', sidebarState(this.sources)).catch(() => undefined);
    }, redrawMilliseconds);
  }
}

/** Runs a command without making the page wait for what the user does in it. */
function execute(command: string, ...args: readonly unknown[]): null {
  void vscode.commands.executeCommand(command, ...args);
  return null;
}
