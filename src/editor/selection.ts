import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type * as vscode from 'vscode';
import { embeddedModel, embeddedSae } from '../common/embedded.ts';
import { absolutePath } from './absolutePath.ts';
import type { Domains } from './domains.ts';
import type { EngineSelection } from './engine.ts';
import { setting } from './settings.ts';

/** The model, SAE and domains to load; empty settings stand for the model and SAE that come with Loupe. */
export async function selectedFiles(
  { extensionPath, globalStorageUri }: vscode.ExtensionContext,
  domains: Domains,
): Promise<EngineSelection> {
  const threads = setting('threads');
  return {
    model: {
      path: absolutePath(setting('model.path')) ?? join(extensionPath, embeddedModel),
      cacheFolder: join(globalStorageUri.fsPath, 'weights'),
      threads: threads > 0 ? threads : defaultThreads(),
    },
    sae: {
      path: absolutePath(setting('sae.path')) ?? join(extensionPath, embeddedSae),
      domains: (await domains.list()).map(({ name, path }) => ({ name, path })),
    },
  };
}

/** Half of the processors, which on most machines are two to a core, leaves the editor its share. */
function defaultThreads(): number {
  const processors = availableParallelism();
  return Math.min(processors, Math.max(2, Math.floor(processors / 2)));
}
