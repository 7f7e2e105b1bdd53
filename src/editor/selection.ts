import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type * as vscode from 'vscode';
import { embeddedModel, embeddedSae } from '../common/embedded.ts';
import type { ModelRequest } from '../contracts/engine.ts';
import { absolutePath } from './absolutePath.ts';
import type { Domains } from './domains.ts';
import type { EngineSelection } from './engine.ts';
import { setting } from './settings.ts';

/** The model, SAE and domains to load. */
export async function selectedFiles(
  context: vscode.ExtensionContext,
  domains: Domains,
): Promise<EngineSelection> {
  const { model, saePath } = selectedModel(context);
  const list = await domains.list();
  return { model, sae: { path: saePath, domains: list.map(({ name, path }) => ({ name, path })) } };
}

/** The model and SAE that the settings name; empty ones stand for those that come with Loupe. */
export function selectedModel({ extensionPath, globalStorageUri }: vscode.ExtensionContext): {
  readonly model: ModelRequest;
  readonly saePath: string;
} {
  const threads = setting('threads');
  return {
    model: {
      path: absolutePath(setting('model.path')) ?? join(extensionPath, embeddedModel),
      cacheFolder: join(globalStorageUri.fsPath, 'weights'),
      threads: threads > 0 ? threads : defaultThreads(),
    },
    saePath: absolutePath(setting('sae.path')) ?? join(extensionPath, embeddedSae),
  };
}

/** Half of the processors, which on most machines are two to a core, leaves the editor its share. */
function defaultThreads(): number {
  const processors = availableParallelism();
  return Math.min(processors, Math.max(2, Math.floor(processors / 2)));
}
