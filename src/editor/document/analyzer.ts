import * as vscode from 'vscode';
import { DisposableStore } from '../../common/disposable.ts';
import { Failure } from '../../common/failure.ts';
import { isAnalyzable, visibleOffsets } from './activeDocument.ts';
import { AnalyzedDocument } from './analyzedDocument.ts';
import { selectionKey, type Engine } from '../engine/engine.ts';
import { onDidChangeSettings, setting } from '../settings.ts';

/** The documents that are analysed: keeps them so through edits, scrolling and changes of model and SAE. */
export class Analyzer implements vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly changed = this.owned.register(new vscode.EventEmitter<vscode.TextDocument>());
  /** What is known of the document, or at what its analysis is, has changed. */
  readonly onDidChange = this.changed.event;
  private readonly engine: Engine;
  private readonly documents = new Map<vscode.TextDocument, AnalyzedDocument>();
  /** Which model and SAE the documents were last analysed with. */
  private selection: string | undefined;
  private scrollTimer: NodeJS.Timeout | undefined;

  constructor(engine: Engine) {
    this.engine = engine;
    const { workspace, window } = vscode;
    for (const subscription of [
      engine.onDidChangeState(() => this.engineChanged()),
      workspace.onDidChangeTextDocument(event => this.edited(event)),
      workspace.onDidCloseTextDocument(document => {
        if (document.isClosed) this.clear(document);
      }),
      window.onDidChangeTextEditorVisibleRanges(event => this.scrolled(event.textEditor)),
      window.onDidChangeActiveTextEditor(editor => this.opened(editor)),
      onDidChangeSettings(['hover.predictions', 'analysis.maxCharacters'], () => this.again()),
      { dispose: () => clearTimeout(this.scrollTimer) },
    ]) {
      this.owned.register(subscription);
    }
    this.opened(window.activeTextEditor);
  }

  of(document: vscode.TextDocument): AnalyzedDocument | undefined {
    return this.documents.get(document);
  }

  /** Analyses the document now. Rejects with what prevented it; an interruption settles when the engine is back. */
  async analyze(document: vscode.TextDocument): Promise<void> {
    const analyzed = this.documents.get(document) ?? this.add(document);
    await analyzed.analyze();
    if (analyzed.stage.kind === 'failed') throw analyzed.stage.failure;
  }

  clear(document: vscode.TextDocument): void {
    const analyzed = this.documents.get(document);
    if (!analyzed) return;
    this.documents.delete(document);
    analyzed.dispose();
    this.changed.fire(document);
  }

  dispose(): void {
    for (const analyzed of this.documents.values()) analyzed.dispose();
    this.documents.clear();
    this.owned.dispose();
  }

  private add(document: vscode.TextDocument): AnalyzedDocument {
    const analyzed = new AnalyzedDocument(document, this.engine);
    this.documents.set(document, analyzed);
    analyzed.onDidChange(() => this.changed.fire(document));
    return analyzed;
  }

  private edited({ document, contentChanges }: vscode.TextDocumentChangeEvent): void {
    this.documents.get(document)?.edited(contentChanges);
  }

  private opened(editor: vscode.TextEditor | undefined): void {
    if (!editor || !setting('analysis.onOpen') || !isAnalyzable(editor.document)) return;
    if (this.engine.state.kind === 'failed') return;
    if (this.documents.has(editor.document) || editor.document.getText().length === 0) return;
    // Nobody asked for this document in particular: its failure shows in the views, not as a notification.
    this.analyze(editor.document).catch(() => undefined);
  }

  /** A long document is analysed around what is visible: again when that has left the analysed part. */
  private scrolled(editor: vscode.TextEditor): void {
    const analyzed = this.documents.get(editor.document);
    if (analyzed?.stage.kind !== 'done') return;
    const { start, end } = visibleOffsets(editor.document);
    if (start >= analyzed.region.start && end <= analyzed.region.end) return;
    if (end - start > setting('analysis.maxCharacters')) return; // would never fit
    clearTimeout(this.scrollTimer);
    this.scrollTimer = setTimeout(() => {
      if (this.documents.get(editor.document) === analyzed) analyzed.analyzeAgain();
    }, setting('analysis.delay'));
  }

  private engineChanged(): void {
    const { state } = this.engine;
    if (state.kind !== 'ready') return;
    const selection = selectionKey(state.engine);
    const another = this.selection !== undefined && this.selection !== selection;
    this.selection = selection;
    for (const analyzed of this.documents.values()) {
      if (another) analyzed.forget();
      if (another || analyzed.stage.kind === 'interrupted') void analyzed.analyze();
    }
  }

  private again(): void {
    for (const analyzed of this.documents.values()) analyzed.analyzeAgain();
  }
}

/** The failure to tell where there is no document to analyse. */
export function noDocument(): Failure {
  return new Failure(
    'not-found',
    'There is no text editor to analyze. VS Code gives files above 50 MB to no extension.',
  );
}
