import * as vscode from 'vscode';
import { Failure } from '../../common/failure.ts';
import type { ModelFacts, SaeFacts } from '../../contracts/lookAt.ts';
import { saeFit } from '../../hub/saeFit.ts';
import type { ChooseTargets } from '../chooseFiles.ts';
import { selectedFiles } from '../selection.ts';
import { changeSetting, setting } from '../settings.ts';

/** The model that is selected, as its files say; undefined where they cannot be read. */
export async function selectedModel(targets: ChooseTargets): Promise<ModelFacts | undefined> {
  return await modelAt(targets, selectedFiles(targets.context).model.path);
}

/** What the files of the model at `path` say; undefined where they cannot be read. */
export async function modelAt(
  targets: ChooseTargets,
  path: string,
): Promise<ModelFacts | undefined> {
  try {
    return await (await targets.engine.connect()).call('describeModel', { path });
  } catch {
    return undefined; // loading it will say why
  }
}

/** The same of an SAE. */
export async function saeAt(targets: ChooseTargets, path: string): Promise<SaeFacts | undefined> {
  try {
    return await (await targets.engine.connect()).call('describeSae', { path });
  } catch {
    return undefined;
  }
}

/** Makes the SAE at `path` ('': the embedded one) the one in use; where it does not fit the model, that is said first. */
export async function useSae(targets: ChooseTargets, path: string): Promise<void> {
  if (path === setting('sae.path')) {
    targets.engine.reload();
    return;
  }
  const { saePath } = selectedFiles(targets.context, { 'sae.path': path });
  const model = await selectedModel(targets);
  const fit = saeFit((await saeAt(targets, saePath)) ?? {}, model);
  if (fit.kind === 'not') {
    throw new Failure('mismatch', `The SAE does not fit the model in use. ${fit.why}`, {
      action: 'Choose its model first.',
    });
  }
  if (fit.kind === 'may' && fit.why !== undefined) {
    const anyway = 'Use It Anyway';
    const text = `The SAE may not fit the model in use.`;
    const options = { modal: true, detail: fit.why };
    if ((await vscode.window.showWarningMessage(text, options, anyway)) !== anyway) return;
  }
  await changeSetting('sae.path', path);
}
