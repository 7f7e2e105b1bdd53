import * as vscode from 'vscode';
import { rangeOf } from './tokenDecorations.ts';

/** Selects a stretch of the document, in the editor that shows it or in a new one. */
export async function revealToken(
  document: vscode.TextDocument,
  token: { readonly start: number; readonly end: number },
): Promise<void> {
  const range = rangeOf(document, token);
  const shown = vscode.window.visibleTextEditors.find(editor => editor.document === document);
  await vscode.window.showTextDocument(document, {
    selection: range,
    preview: false,
    viewColumn: shown?.viewColumn ?? vscode.ViewColumn.One,
  });
}
