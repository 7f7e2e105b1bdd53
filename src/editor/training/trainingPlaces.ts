import { basename } from 'node:path';
import * as vscode from 'vscode';
import { Failure } from '../../common/failure.ts';
import type { PlacedToken } from '../../contracts/trainingPanel.ts';
import { findToken } from '../../report/findToken.ts';
import { revealToken } from '../document/revealToken.ts';

/** Opens a token in its file, and says so where the file is gone or has been changed since what `after` names. */
export async function openPlace(placed: PlacedToken, after = 'the training'): Promise<void> {
  const { path, start } = placed.place;
  const document = await open(vscode.Uri.file(path), after);
  const found = findToken(document.getText(), start, placed);
  if (found) {
    await revealToken(document, { start: found.start, end: found.start + placed.token.length });
  } else {
    await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.One });
  }
  if (found?.same === true) return;
  const outcome = found
    ? 'the token was found at another place'
    : 'the token is not in it any more';
  void vscode.window.showInformationMessage(
    `Loupe: ${basename(path)} was changed after ${after}; ${outcome}.`,
  );
}

async function open(uri: vscode.Uri, after: string): Promise<vscode.TextDocument> {
  try {
    await vscode.workspace.fs.stat(uri);
  } catch (cause) {
    throw new Failure('not-found', `${uri.fsPath} is gone: it was there at the time of ${after}.`, {
      cause,
    });
  }
  try {
    return await vscode.workspace.openTextDocument(uri);
  } catch (cause) {
    throw new Failure('unsupported', `${uri.fsPath} cannot be shown as text.`, { cause });
  }
}
