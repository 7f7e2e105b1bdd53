import * as vscode from 'vscode';
import type { Failure } from '../../common/failure.ts';
import { formatDecimal } from '../../common/numbers.ts';
import type { BoostReport } from '../../contracts/boostReport.ts';
import type { RouterFitReport } from '../../contracts/routerFit.ts';
import { failureText } from '../presentFailure.ts';
import { variantInUse } from '../../report/variantTitles.ts';
import type { DomainList } from './training.ts';
import type { TrainingJob, TrainingTask } from './trainingJob.ts';
import type { FinishedTraining } from './trainingQueue.ts';

/** Tells what has been learnt, and offers to see it. */
export function presentDone(done: FinishedTraining, domains: DomainList): Promise<void> {
  return done.kind === 'routers'
    ? presentFitted(done.folder, done.report)
    : presentDomain(done.name, done.report, domains);
}

async function presentFitted(folder: string, { fit }: RouterFitReport): Promise<void> {
  const [before, after] = [fit.ceBefore, fit.ceAfter].map(ce => formatDecimal(ce, 3));
  const text =
    fit.ceAfter < fit.ceBefore
      ? `Loupe: routers ${fit.name} are fitted: CE on held-out text ${before} → ${after}.`
      : `Loupe: routers ${fit.name} do not help on held-out text: CE ${before} → ${after}. Fit on more text.`;
  const chosen = await vscode.window.showInformationMessage(text, 'Show Layer Map');
  if (chosen) await vscode.commands.executeCommand('loupe.showLayerMap', folder);
}

/** A domain's features are on, and can be turned off at once. */
async function presentDomain(
  name: string,
  report: BoostReport,
  domains: DomainList,
): Promise<void> {
  const measure = variantInUse(report)?.domain;
  const change = measure
    ? `: EV on held-out text ${formatDecimal(measure.base.ev, 2)} → ${formatDecimal(measure.boosted.ev, 2)}`
    : ' is trained';
  const text = `Loupe: domain ${name}${change}. Its features are on.`;
  const chosen = await vscode.window.showInformationMessage(text, 'Show Report', 'Turn Off');
  if (chosen === 'Show Report') await vscode.commands.executeCommand('loupe.showReport', name);
  if (chosen === 'Turn Off') await domains.turn(name, false);
}

export function presentTrainingFailure({ id, request }: TrainingJob, failure: Failure): void {
  const text = `Loupe: the training of ${request.name} failed. ${failureText(failure)}`;
  const offer = vscode.window.showErrorMessage(text, 'Resume', 'Show Training', 'Show Log');
  void offer.then(chosen => {
    if (chosen === 'Resume') return vscode.commands.executeCommand('loupe.resumeTraining', id);
    if (chosen === 'Show Training') return vscode.commands.executeCommand('loupe.showTraining');
    if (chosen === 'Show Log') return vscode.commands.executeCommand('loupe.showLog');
    return undefined;
  });
}

/** Asks before what a training has learnt is deleted. */
export async function confirmDeletion({ request }: TrainingJob, action: string): Promise<boolean> {
  const chosen = await vscode.window.showWarningMessage(
    `${action} the training of ${request.name}?`,
    { modal: true, detail: 'What it has learnt so far is deleted.' },
    `${action} and Delete`,
  );
  return chosen !== undefined;
}

/** Asks before what has been learnt under a name is deleted for a new training. */
export async function confirmReplacement(
  kind: TrainingTask['kind'],
  name: string,
): Promise<boolean> {
  const { what, detail } = replaced[kind];
  const message = `Replace the ${what} ${name}?`;
  const options = { modal: true, detail };
  const chosen = await vscode.window.showWarningMessage(message, options, 'Replace');
  return chosen !== undefined;
}

const replaced: Readonly<Record<TrainingTask['kind'], { what: string; detail: string }>> = {
  residual: {
    what: 'domain',
    detail:
      'There is a residual SAE of this name: it is deleted with its report when the training starts.',
  },
  routers: {
    what: 'routers',
    detail:
      'There are fitted routers of this name: they are deleted with their report when the fit starts.',
  },
};

/** Tells that another window took the trainings, as after the machine has slept. */
export function presentTakenOver(): void {
  void vscode.window.showWarningMessage(
    'Loupe: another window goes on with the trainings of this workspace, so they were ended here.',
  );
}
