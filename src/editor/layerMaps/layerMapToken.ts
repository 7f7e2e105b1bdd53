import * as vscode from 'vscode';
import { DisposableStore } from '../../common/disposable.ts';
import { Failure } from '../../common/failure.ts';
import type { TokenRoutes } from '../../contracts/layerMap.ts';
import type { LayerMapState, TokenMap } from '../../contracts/layerMapPanel.ts';
import type { DocumentRouter, RoutedDocument } from './layerMapDocument.ts';
import { failureText } from '../presentFailure.ts';
import { tokenFrom } from './routeTints.ts';
import { rangeOf } from '../document/tokenDecorations.ts';

const contextCharacters = 160;

/** Follows the cursor through a document that was run, and knows the routes of the token under it. */
export class TokenFollower implements vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly changed = this.owned.register(new vscode.EventEmitter<void>());
  readonly onDidChange = this.changed.event;
  private readonly router: DocumentRouter;
  private work: LayerMapState['token'] = { kind: 'none' };
  private followed: RoutedDocument | undefined;
  private token: number | undefined;
  private run = new AbortController();

  constructor(router: DocumentRouter) {
    this.router = router;
    this.owned.register(router.onDidChange(() => this.documentChanged()));
    this.owned.register(
      vscode.window.onDidChangeTextEditorSelection(({ textEditor }) =>
        this.cursorMoved(textEditor),
      ),
    );
    this.owned.register({ dispose: () => this.run.abort() });
  }

  get state(): LayerMapState['token'] {
    return this.work;
  }

  /** Moves the cursor of the file to a token. */
  move(token: number): void {
    const { routed } = this.router;
    if (!routed || !Number.isInteger(token) || token < 0) return;
    if (token >= routed.routes.starts.length) return;
    void this.show(routed, token);
    const editor = editorOf(routed);
    if (!editor) return;
    const range = tokenRange(routed, token);
    editor.selection = new vscode.Selection(range.start, range.start);
    editor.revealRange(range, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
  }

  dispose(): void {
    this.owned.dispose();
  }

  private documentChanged(): void {
    const { routed } = this.router;
    if (routed === this.followed) return;
    this.followed = routed;
    this.token = undefined;
    this.run.abort();
    if (routed) void this.show(routed, cursorToken(routed) ?? 0);
    else this.enter({ kind: 'none' });
  }

  private cursorMoved(editor: vscode.TextEditor): void {
    const { routed } = this.router;
    if (routed?.document !== editor.document) return;
    const offset = editor.document.offsetAt(editor.selection.active);
    const token = tokenFrom(routed.routes, offset) ?? 0;
    // Tokens of one character stand at one place: the one that was asked for stays.
    const isThere = routed.routes.starts[token] === routed.routes.starts[this.token ?? -1];
    if (!isThere) void this.show(routed, token);
  }

  private async show(routed: RoutedDocument, token: number): Promise<void> {
    if (routed.routes.starts.length === 0) return;
    this.token = token;
    this.run.abort();
    const { signal } = (this.run = new AbortController());
    const { documentId, caller } = routed;
    try {
      const routes = await caller.call('tokenRoutes', { documentId, token }, { signal });
      if (!signal.aborted) this.enter({ kind: 'ready', value: mapOf(routed, routes) });
    } catch (error) {
      if (signal.aborted) return;
      this.enter({ kind: 'failed', message: failureText(Failure.from(error)) });
    }
  }

  private enter(work: LayerMapState['token']): void {
    this.work = work;
    this.changed.fire();
  }
}

function editorOf({ document }: RoutedDocument): vscode.TextEditor | undefined {
  return vscode.window.visibleTextEditors.find(editor => editor.document === document);
}

function cursorToken(routed: RoutedDocument): number | undefined {
  const cursor = editorOf(routed)?.selection.active;
  return cursor && tokenFrom(routed.routes, routed.document.offsetAt(cursor));
}

function tokenRange({ document, routes }: RoutedDocument, token: number): vscode.Range {
  return rangeOf(document, { start: routes.starts[token] ?? 0, end: routes.ends[token] ?? 0 });
}

function mapOf(routed: RoutedDocument, { token, shares, initial }: TokenRoutes): TokenMap {
  const { document, routes } = routed;
  const [start, end] = [routes.starts[token] ?? 0, routes.ends[token] ?? 0];
  const text = (from: number, to: number): string =>
    document.getText(rangeOf(document, { start: Math.max(0, from), end: to }));
  return {
    token,
    tokens: routes.starts.length,
    line: document.positionAt(start).line + 1,
    before: text(start - contextCharacters, start),
    text: text(start, end),
    after: text(end, end + contextCharacters),
    shares,
    initial,
  };
}
