import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { Engine } from './engine.ts';
import { changeSetting, setting } from './settings.ts';

interface Choice {
  readonly setting: 'model.path' | 'sae.path';
  readonly title: string;
  readonly embedded: string;
  readonly browse: string;
  readonly dialog: vscode.OpenDialogOptions;
}

/** The dialog for a model's file. */
export const modelDialog: vscode.OpenDialogOptions = {
  canSelectFiles: true,
  filters: { Models: ['gguf', 'safetensors'] },
};

/** Lets the user pick the model to load: the embedded one, a GGUF file, or a folder by its safetensors. */
export function chooseModel(engine: Engine): Promise<void> {
  return choose(engine, {
    setting: 'model.path',
    title: 'Loupe: Choose Model',
    embedded: 'SmolLM2-135M-Instruct, comes with Loupe',
    browse: 'Choose a GGUF or safetensors file…',
    dialog: modelDialog,
  });
}

/** Lets the user pick the SAE to load: the embedded one, or a SAELens folder. */
export function chooseSae(engine: Engine): Promise<void> {
  return choose(engine, {
    setting: 'sae.path',
    title: 'Loupe: Choose SAE',
    embedded: '8,192 features at layer 15 of SmolLM2-135M-Instruct, comes with Loupe',
    browse: 'Choose a SAELens folder…',
    dialog: { canSelectFiles: false, canSelectFolders: true },
  });
}

async function choose(engine: Engine, choice: Choice): Promise<void> {
  const present = setting(choice.setting);
  const embedded = { label: 'Embedded', description: choice.embedded, path: '' };
  const items = [
    embedded,
    ...(present === ''
      ? []
      : [{ label: basename(present), description: present, detail: 'Chosen now', path: present }]),
    { label: choice.browse, description: '', path: undefined },
  ];
  const chosen = await vscode.window.showQuickPick(items, { title: choice.title });
  if (!chosen) return;
  const path = chosen.path ?? (await browse(choice));
  if (path === undefined) return;
  // The same one again: after a failure, or because its files are others now.
  if (path === present) engine.reload();
  else await changeSetting(choice.setting, path);
}

async function browse({ title, dialog }: Choice): Promise<string | undefined> {
  const [file] = (await vscode.window.showOpenDialog({ ...dialog, title })) ?? [];
  return file?.fsPath;
}
