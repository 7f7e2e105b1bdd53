import { dirname } from 'node:path';
import * as vscode from 'vscode';
import { DisposableStore } from '../../common/disposable.ts';
import { Failure } from '../../common/failure.ts';
import type { SaeCard } from '../../contracts/lookAt.ts';
import type { SaeCardHost, SaeCardState, SaeCardView } from '../../contracts/saeCardPanel.ts';
import { saeFit } from '../../hub/saeFit.ts';
import { createCaller, serve, type Caller } from '../../messages/calls.ts';
import { acceptPages } from '../../messages/panel.ts';
import { useSae, type ChooseTargets } from '../chooseFiles.ts';
import { failureText, presentFailure } from '../presentFailure.ts';
import { selectedFiles } from '../selection.ts';
import { onDidChangeSettings } from '../settings.ts';
import { webviewHtml, webviewOptions } from './webviewHtml.ts';
import { webviewPort } from './webviewPort.ts';

const saeCardType = 'loupe.saeCard';

/** Shows an SAE's file as a card, and another safetensors file as a table of its tensors. */
export class SaeCardEditors implements vscode.CustomReadonlyEditorProvider, vscode.Disposable {
  private readonly registration: vscode.Disposable;
  private readonly extension: vscode.Uri;
  private readonly targets: ChooseTargets;

  constructor(extension: vscode.Uri, targets: ChooseTargets) {
    this.extension = extension;
    this.targets = targets;
    this.registration = vscode.Disposable.from(
      vscode.window.registerCustomEditorProvider(saeCardType, this),
      vscode.commands.registerCommand('loupe.openSaeCard', (uri: unknown) => {
        const active = vscode.window.activeTextEditor?.document.uri;
        const file = uri instanceof vscode.Uri ? uri : active;
        if (file) void vscode.commands.executeCommand('vscode.openWith', file, saeCardType);
      }),
    );
  }

  openCustomDocument(uri: vscode.Uri): vscode.CustomDocument {
    return { uri, dispose: () => undefined };
  }

  resolveCustomEditor({ uri }: vscode.CustomDocument, panel: vscode.WebviewPanel): void {
    const card = new SaeCardPage(uri, this.targets);
    panel.webview.options = webviewOptions(this.extension);
    const pages = acceptPages(webviewPort(panel.webview, panel.onDidDispose), connection => {
      card.page = createCaller<SaeCardView>(connection);
      serve<SaeCardHost>(connection, {
        ready: () => card.state,
        use: () => card.use(),
      });
    });
    panel.onDidDispose(() => {
      pages.dispose();
      card.dispose();
    });
    panel.webview.html = webviewHtml(panel.webview, this.extension, 'saeCard');
    card.load();
  }

  dispose(): void {
    this.registration.dispose();
  }
}

/** One open card: what it shows, read again when the file or what is in use changes. */
class SaeCardPage implements vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly uri: vscode.Uri;
  private readonly targets: ChooseTargets;
  private reading = new AbortController();
  state: SaeCardState = { kind: 'loading' };
  page: Caller<SaeCardView> | undefined;

  constructor(uri: vscode.Uri, targets: ChooseTargets) {
    this.uri = uri;
    this.targets = targets;
    const pattern = new vscode.RelativePattern(vscode.Uri.file(dirname(uri.fsPath)), '*');
    const watcher = this.owned.register(vscode.workspace.createFileSystemWatcher(pattern));
    this.owned.register(
      watcher.onDidChange(changed => {
        if (changed.fsPath === uri.fsPath) this.load();
      }),
    );
    this.owned.register(onDidChangeSettings(['sae.path', 'model.path'], () => this.load()));
  }

  /** Reads the file anew; a reading under way is given up. */
  load(): void {
    this.reading.abort();
    const { signal } = (this.reading = new AbortController());
    this.read(signal).then(
      state => this.enter(state, signal),
      (error: unknown) => {
        const message = failureText(Failure.from(error));
        this.enter({ kind: 'failed', message }, signal);
      },
    );
  }

  async use(): Promise<null> {
    if (this.state.kind !== 'sae') return null;
    try {
      await useSae(this.targets, this.state.card.path);
    } catch (error) {
      presentFailure(Failure.from(error), 'sae');
    }
    return null;
  }

  dispose(): void {
    this.reading.abort();
    this.owned.dispose();
  }

  private async read(signal: AbortSignal): Promise<SaeCardState> {
    if (this.uri.scheme !== 'file') {
      throw new Failure('unsupported', 'Only files on this machine’s disk can be read.');
    }
    const caller = await this.targets.engine.connect();
    const card = await caller.call('saeCard', { path: this.uri.fsPath }, { signal });
    if (card.kind === 'tensors') return { kind: 'tensors', table: card };
    const { saePath, model } = selectedFiles(this.targets.context);
    const facts = await caller
      .call('describeModel', { path: model.path }, { signal })
      .catch(() => undefined);
    const fit = saeFit(factsOf(card), facts);
    const obstacle = fit.kind === 'fits' ? null : (fit.why ?? null);
    const inUse = card.path === saePath;
    return { kind: 'sae', card, obstacle, inUse, usable: fit.kind !== 'not' };
  }

  private enter(state: SaeCardState, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.state = state;
    // A page that goes away meanwhile asks for the state when it comes back.
    this.page?.call('show', state).catch(() => undefined);
  }
}

function factsOf({ hook, features, inputWidth, rule, model }: SaeCard) {
  return { hook, features, inputWidth, kind: rule, model };
}
