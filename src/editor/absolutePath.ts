import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import * as vscode from 'vscode';

/** The path that a setting names: `~` is the home folder, other relative paths start at the first workspace folder. */
export function absolutePath(path: string): string | undefined {
  const trimmed = path.trim();
  if (trimmed === '') return undefined;
  if (trimmed === '~' || /^~[/\\]/.test(trimmed)) return join(homedir(), trimmed.slice(1));
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  return isAbsolute(trimmed) || folder === undefined ? trimmed : join(folder, trimmed);
}
