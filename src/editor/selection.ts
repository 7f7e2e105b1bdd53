import { availableParallelism, homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import * as vscode from 'vscode';
import { embeddedModel, embeddedSae } from '../common/embedded.ts';
import type { Domains } from './domains/domains.ts';
import type { EngineSelection } from './engine/engine.ts';
import { setting, type Settings } from './settings.ts';

/** What the engine is to load and on which device: what the settings name, and the domains that are known. */
export async function engineSelection(
  context: vscode.ExtensionContext,
  domains: Domains,
): Promise<EngineSelection> {
  const known = await domains.list();
  const { model, saePath } = selectedFiles(context);
  return {
    model: { ...model, device: setting('device'), precision: setting('precision') },
    saePath,
    domains: known.map(({ name, path }) => ({ name, path })),
  };
}

/** The model and SAE that the settings name, or `instead` of them; empty ones stand for those that come with Loupe. */
export function selectedFiles(
  {
    extensionPath,
    globalStorageUri,
  }: Pick<vscode.ExtensionContext, 'extensionPath' | 'globalStorageUri'>,
  instead: Partial<Pick<Settings, 'model.path' | 'sae.path'>> = {},
): Omit<EngineSelection, 'domains'> {
  const threads = setting('threads');
  const [model, sae] = [setting('model.path'), setting('sae.path')];
  return {
    model: {
      path: absolute(instead['model.path'] ?? model) ?? join(extensionPath, embeddedModel),
      cacheFolder: join(globalStorageUri.fsPath, 'weights'),
      threads: threads > 0 ? threads : defaultThreads(),
    },
    saePath: absolute(instead['sae.path'] ?? sae) ?? join(extensionPath, embeddedSae),
  };
}

/** Half of the processors, which on most machines are two to a core, leaves the editor its share. */
function defaultThreads(): number {
  const processors = availableParallelism();
  return Math.min(processors, Math.max(2, Math.floor(processors / 2)));
}

/** `~` is the home folder; other relative paths start at the first workspace folder. */
export function absolute(path: string): string | undefined {
  const trimmed = path.trim();
  if (trimmed === '') return undefined;
  if (trimmed === '~' || /^~[/\\]/.test(trimmed)) return join(homedir(), trimmed.slice(1));
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  return isAbsolute(trimmed) || folder === undefined ? trimmed : join(folder, trimmed);
}
