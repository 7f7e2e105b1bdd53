import * as vscode from 'vscode';
import { DisposableStore } from '../../common/disposable.ts';

/** Inputs of the workbench that are documents only in name. */
const ignoredSchemes = new Set(['output', 'comment', 'vscode-scm', 'vscode-interactive-input']);

/** The text document that Loupe's views speak of: the one last active, also while a panel has the focus. */
export class ActiveDocument implements vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly changed = this.owned.register(new vscode.EventEmitter<void>());
  readonly onDidChange = this.changed.event;
  private document: vscode.TextDocument | undefined;

  constructor() {
    this.follow(vscode.window.activeTextEditor);
    this.owned.register(vscode.window.onDidChangeActiveTextEditor(editor => this.follow(editor)));
    this.owned.register(
      vscode.workspace.onDidCloseTextDocument(closed => {
        // A change of language is told as closing and opening; only what is really closed says so itself.
        if (closed === this.document && closed.isClosed) this.set(undefined);
      }),
    );
  }

  get current(): vscode.TextDocument | undefined {
    return this.document;
  }

  /** An editor that shows it, if one does. */
  get editor(): vscode.TextEditor | undefined {
    return vscode.window.visibleTextEditors.find(editor => editor.document === this.document);
  }

  dispose(): void {
    this.owned.dispose();
  }

  private follow(editor: vscode.TextEditor | undefined): void {
    if (editor && isAnalyzable(editor.document)) this.set(editor.document);
  }

  private set(document: vscode.TextDocument | undefined): void {
    if (document === this.document) return;
    this.document = document;
    this.changed.fire();
  }
}

/** Whether a document is a text that a user reads or writes, whatever its scheme. */
export function isAnalyzable(document: vscode.TextDocument): boolean {
  return !ignoredSchemes.has(document.uri.scheme);
}

/** UTF-16 offsets of what the user sees of the document; its start where nobody sees it. */
export function visibleOffsets(document: vscode.TextDocument): { start: number; end: number } {
  const editor = vscode.window.visibleTextEditors.find(e => e.document === document);
  const first = editor?.visibleRanges[0];
  const last = editor?.visibleRanges.at(-1);
  if (!first || !last) return { start: 0, end: 0 };
  return { start: document.offsetAt(first.start), end: document.offsetAt(last.end) };
}
