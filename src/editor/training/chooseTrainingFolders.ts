import * as vscode from 'vscode';
import { Failure } from '../../common/failure.ts';

/** The folders to train on; the user chooses where there are several. Undefined: none after all, or not yet trusted. */
export async function chooseTrainingFolders(
  title: string,
): Promise<readonly vscode.WorkspaceFolder[] | undefined> {
  if (!vscode.workspace.isTrusted) {
    await explainTrust();
    return undefined;
  }
  const folders = (vscode.workspace.workspaceFolders ?? []).filter(
    ({ uri }) => uri.scheme === 'file',
  );
  if (folders.length === 0) {
    throw new Failure('unsupported', 'A training reads files of the disk: open a folder of it.');
  }
  if (folders.length === 1) return folders;
  const items = folders.map(folder => ({
    label: folder.name,
    description: folder.uri.fsPath,
    picked: true,
    folder,
  }));
  const chosen = await vscode.window.showQuickPick(items, {
    title,
    placeHolder: 'Folders to train on',
    canPickMany: true,
  });
  return chosen?.map(({ folder }) => folder);
}

async function explainTrust(): Promise<void> {
  const manage = 'Manage Workspace Trust';
  const chosen = await vscode.window.showWarningMessage(
    'Loupe: a training reads every file of the workspace, so the workspace must be trusted first.',
    manage,
  );
  if (chosen === manage) await vscode.commands.executeCommand('workbench.trust.manage');
}
