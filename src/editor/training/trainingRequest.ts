import { basename, join } from 'node:path';
import * as vscode from 'vscode';
import type { RouterFitRequest } from '../../contracts/routerFit.ts';
import type { BoostRequest, CorpusRequest } from '../../contracts/trainer.ts';
import { absolute, selectedFiles } from '../selection.ts';
import { setting } from '../settings.ts';
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
  const tensorflow = setting('tensorflow.path');
  const request: BoostRequest = {
    model: { ...model, device: setting('device') },
    basePath: saePath,
    corpus: corpusRequest(folders),
    generalPaths: setting('training.generalText').map(path => absolute(path) ?? path),
    otherDomains: otherDomains.filter(other => other !== folder),
    folder,
    name,
    width: setting('training.width'),
    k: setting('training.k'),
    tokens: setting('training.tokens'),
    seed: 0,
    mixGeneral: setting('training.mixGeneral'),
    ...(tensorflow !== '' && { tensorflow: { path: tensorflow } }),
    diskBytes: Math.round(setting('training.diskBudget') * 1e9),
    command: `Loupe: Train Residual SAE on Workspace (${folders.map(({ uri }) => basename(uri.fsPath)).join(', ')})`,
  };
  return { name, folders: folders.map(folderName => folderName.name), request };
}

/** A fit of routers to the chosen model, into the workspace's storage. */
export function fitRequest(
  context: vscode.ExtensionContext,
  name: string,
  folders: readonly vscode.WorkspaceFolder[],
  routersFolder: string,
): RouterFitRequest {
  const { model } = selectedFiles(context);
  const folder = join(routersFolder, name);
  return {
    model: { ...model, device: setting('device') },
    corpus: corpusRequest(folders),
    folder,
    name,
    tokens: 0,
    seed: seedOf(name),
  };
}

/** Fits of other names take the text in another order: what they have in common is not chance. */
function seedOf(name: string): number {
  return Array.from(name).reduce(
    (seed, letter) => (31 * seed + (letter.codePointAt(0) ?? 0)) >>> 0,
    0,
  );
}

/** The text of workspace folders, as the settings choose it. */
function corpusRequest(folders: readonly vscode.WorkspaceFolder[]): CorpusRequest {
  return {
    roots: folders.map(({ uri }) => uri.fsPath),
    include: setting('training.include'),
    exclude: [...new Set([...setting('training.exclude'), ...folders.flatMap(excludedFiles)])],
    useGitIgnore: setting('training.useGitIgnore'),
    seed: 0,
    maxFileBytes,
  };
}

/** The globs of `files.exclude` that are on; those that depend on a sibling file are left to the explorer. */
export function excludedFiles({ uri }: vscode.WorkspaceFolder): string[] {
  const globs = vscode.workspace.getConfiguration('files', uri).get<unknown>('exclude');
  if (typeof globs !== 'object' || globs === null) return [];
  return Object.entries(globs)
    .filter(([, isOn]) => isOn === true)
    .map(([glob]) => glob);
}
