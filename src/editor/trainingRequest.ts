import { basename, join } from 'node:path';
import * as vscode from 'vscode';
import type { BoostRequest } from '../contracts/trainer.ts';
import { absolute, selectedFiles } from './selection.ts';
import { setting } from './settings.ts';
import type { TrainingDraft } from './trainingPlanner.ts';

/** Larger files are skipped, and the plan says so. */
const maxFileBytes = 32 * 2 ** 20;

/** A training of these workspace folders as the settings have it. */
export function trainingDraft(
  context: vscode.ExtensionContext,
  name: string,
  folders: readonly vscode.WorkspaceFolder[],
  { domainsFolder, otherDomains }: { domainsFolder: string; otherDomains: readonly string[] },
): TrainingDraft {
  const { model, saePath } = selectedFiles(context);
  const folder = join(domainsFolder, name);
  const request: BoostRequest = {
    model,
    basePath: saePath,
    corpus: {
      roots: folders.map(({ uri }) => uri.fsPath),
      include: setting('training.include'),
      exclude: [...new Set([...setting('training.exclude'), ...folders.flatMap(excludedFiles)])],
      useGitIgnore: setting('training.useGitIgnore'),
      seed: 0,
      maxFileBytes,
    },
    generalPaths: setting('training.generalText').map(path => absolute(path) ?? path),
    otherDomains: otherDomains.filter(other => other !== folder),
    folder,
    name,
    width: setting('training.width'),
    k: setting('training.k'),
    tokens: setting('training.tokens'),
    seed: 0,
    mixGeneral: setting('training.mixGeneral'),
    diskBytes: Math.round(setting('training.diskBudget') * 1e9),
    command: `Loupe: Train Residual SAE on Workspace (${folders.map(({ uri }) => basename(uri.fsPath)).join(', ')})`,
  };
  return { name, folders: folders.map(folderName => folderName.name), request };
}

/** The globs of `files.exclude` that are on; those that depend on a sibling file are left to the explorer. */
export function excludedFiles({ uri }: vscode.WorkspaceFolder): string[] {
  const globs = vscode.workspace.getConfiguration('files', uri).get<unknown>('exclude');
  if (typeof globs !== 'object' || globs === null) return [];
  return Object.entries(globs)
    .filter(([, isOn]) => isOn === true)
    .map(([glob]) => glob);
}
