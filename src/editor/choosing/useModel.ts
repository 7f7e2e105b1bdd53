import * as vscode from 'vscode';
import { saeFit } from '../../hub/saeFit.ts';
import type { ChooseTargets } from '../chooseFiles.ts';
import { selectedFiles } from '../selection.ts';
import { changeSetting, setting } from '../settings.ts';
import { chooseSaeFor } from './chooseSae.ts';
import { modelAt, saeAt } from './use.ts';

/**
 * Makes the model at `path` ('': the embedded one) the one in use. Where the SAE in use does not fit it, that is said
 * first, and another can be chosen with it.
 */
export async function useModel(targets: ChooseTargets, path: string): Promise<void> {
  if (path === setting('model.path')) {
    // The same one again: after a failure, or because its files are others now.
    targets.engine.reload();
    return;
  }
  const { model, saePath } = selectedFiles(targets.context, { 'model.path': path });
  const facts = await modelAt(targets, model.path);
  const sae = await saeAt(targets, saePath);
  const fit = saeFit(sae ?? {}, facts);
  if (facts === undefined || fit.kind === 'fits' || fit.why === undefined) {
    await changeSetting('model.path', path);
    return;
  }
  const [another, alone] = [`Choose an SAE for It`, 'Use the Model Alone'];
  const answer = await vscode.window.showWarningMessage(
    `The SAE in use does not fit ${facts.name}.`,
    { modal: true, detail: `${fit.why} Without an SAE there are layer maps, and no features.` },
    another,
    alone,
  );
  if (answer === alone) await changeSetting('model.path', path);
  if (answer !== another) return;
  const chosen = await chooseSaeFor(targets, facts);
  if (chosen === undefined) return;
  await changeSetting('model.path', path);
  if (chosen !== setting('sae.path')) await changeSetting('sae.path', chosen);
}
