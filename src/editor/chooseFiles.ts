import type * as vscode from 'vscode';
import type { Engine } from './engine/engine.ts';

/** What the lists of models and SAEs need to know. */
export interface ChooseTargets {
  readonly engine: Engine;
  readonly context: Pick<vscode.ExtensionContext, 'extensionPath' | 'globalStorageUri'>;
}

/** The dialog for a model's file. */
export const modelDialog: vscode.OpenDialogOptions = {
  canSelectFiles: true,
  filters: { Models: ['gguf', 'safetensors'] },
};

/** Lets the user pick the model to load: from this machine or the Hub. */
export async function chooseModel(targets: ChooseTargets): Promise<void> {
  const choosing = await import('./choosing/main.ts');
  await choosing.chooseModel(targets);
}

/** Lets the user pick the SAE to load: from this machine, the index of public SAEs or the Hub. */
export async function chooseSae(targets: ChooseTargets): Promise<void> {
  const choosing = await import('./choosing/main.ts');
  await choosing.chooseSae(targets);
}

/** Makes the SAE at `path` the one in use, unless the user would rather not when it is said that it does not fit. */
export async function useSae(targets: ChooseTargets, path: string): Promise<void> {
  const choosing = await import('./choosing/main.ts');
  await choosing.useSae(targets, path);
}
