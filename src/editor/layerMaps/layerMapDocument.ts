import { basename } from 'node:path';
import * as vscode from 'vscode';
import { DisposableStore } from '../../common/disposable.ts';
import { Failure } from '../../common/failure.ts';
import type { DocumentRoutes, LayerMapContract } from '../../contracts/layerMap.ts';
import type { DocumentMap, LayerMapState } from '../../contracts/layerMapPanel.ts';
import type { Caller } from '../../messages/calls.ts';
import { visibleOffsets, type ActiveDocument } from '../document/activeDocument.ts';
import type { LayerMapSource, ModelMap } from './layerMapModel.ts';
import { failureText } from '../presentFailure.ts';
import { setting } from '../settings.ts';

/** A document that was run through the routed model. */
export interface RoutedDocument {
  readonly document: vscode.TextDocument;
  readonly documentId: string;
  readonly routes: DocumentRoutes;
  readonly caller: Caller<LayerMapContract>;
}

/** Runs the active document through the routed model while somebody looks, and again when either has changed. */
export class DocumentRouter implements vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly changed = this.owned.register(new vscode.EventEmitter<void>());
  readonly onDidChange = this.changed.event;
  private readonly source: LayerMapSource;
  private readonly model: ModelMap;
  private readonly active: ActiveDocument;
  private work: LayerMapState['document'] = nothing;
  private result: RoutedDocument | undefined;
  private watched = false;
  /** What was last run, or is: the document, its version and the model. */
  private key = '';
  private run = new AbortController();
  private timer: NodeJS.Timeout | undefined;

  constructor(source: LayerMapSource, model: ModelMap, active: ActiveDocument) {
    this.source = source;
    this.model = model;
    this.active = active;
    for (const subscription of [
      active.onDidChange(() => this.update()),
      model.onDidChange(() => this.update()),
      vscode.workspace.onDidChangeTextDocument(event => this.edited(event)),
      { dispose: () => this.stop() },
    ]) {
      this.owned.register(subscription);
    }
  }

  get state(): LayerMapState['document'] {
    return this.work;
  }

  /** The document as it was run; undefined while its text is another by now. */
  get routed(): RoutedDocument | undefined {
    return this.result;
  }

  /** Whether somebody looks at what the document says. */
  watch(on: boolean): void {
    this.watched = on;
    this.update();
  }

  /** Lets go of what was run. */
  close(): void {
    this.watched = false;
    this.stop();
    this.key = '';
    this.enter(nothing);
  }

  /** Runs the document again, after a failure or an end of the engine. */
  again(): void {
    this.stop();
    this.key = '';
    this.update();
  }

  dispose(): void {
    this.owned.dispose();
  }

  private update(): void {
    if (!this.watched) return;
    const document = this.active.current;
    const { request } = this.model;
    const key = document && request ? keyOf(document, request) : '';
    if (key === this.key && key !== '') return;
    this.stop();
    this.key = key;
    if (!document) this.enter(nothing);
    else if (!request) this.enter({ kind: 'busy', step: 'Waiting for the maps', fraction: null });
    else void this.route(document);
  }

  private async route(document: vscode.TextDocument): Promise<void> {
    const { signal } = (this.run = new AbortController());
    const { request } = this.model;
    if (!request) return;
    try {
      this.enter({ kind: 'busy', step: 'Running the document', fraction: null });
      const caller = await this.source.connect();
      const documentId = document.uri.toString();
      const onProgress = (progress: { step: string; fraction: number }): void => {
        if (!signal.aborted) this.enter({ kind: 'busy', ...progress });
      };
      const text = document.getText();
      const visible = visibleOffsets(document);
      const asked = { model: request, documentId, text, visible };
      const routes = await caller.call('documentRoutes', asked, { signal, onProgress });
      if (signal.aborted) return;
      this.result = { document, documentId, routes, caller };
      this.enter({ kind: 'ready', value: mapOf(document, routes) });
    } catch (error) {
      if (signal.aborted) return;
      this.enter({ kind: 'failed', message: failureText(Failure.from(error)) });
    }
  }

  /** Offsets are others at once; the text is run again when the user pauses. */
  private edited({ document, contentChanges }: vscode.TextDocumentChangeEvent): void {
    if (document !== this.active.current || contentChanges.length === 0 || !this.watched) return;
    this.stop();
    this.key = '';
    this.enter({ kind: 'busy', step: 'Waiting for a pause', fraction: null });
    this.timer = setTimeout(() => this.update(), setting('analysis.delay'));
  }

  private stop(): void {
    clearTimeout(this.timer);
    this.run.abort();
    if (!this.result) return;
    const { caller, documentId } = this.result;
    this.result = undefined;
    caller.call('forgetRoutes', { documentId }).catch(() => undefined);
  }

  private enter(work: LayerMapState['document']): void {
    this.work = work;
    this.changed.fire();
  }
}

const nothing = { kind: 'none', reason: 'Open a text file: its tokens are run then.' } as const;

function keyOf(document: vscode.TextDocument, request: object): string {
  return JSON.stringify([document.uri.toString(), document.version, request]);
}

function mapOf(document: vscode.TextDocument, routes: DocumentRoutes): DocumentMap {
  const { starts, isPart, convention, contribution, initial } = routes;
  const fileName = basename(document.uri.path);
  return { fileName, tokens: starts.length, isPart, convention, contribution, initial };
}
