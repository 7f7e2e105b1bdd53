import * as vscode from 'vscode';
import { formatCount, formatDecimal, formatDuration } from '../../common/numbers.ts';
import type { RouterFitPlan, RouterFitRequest } from '../../contracts/routerFit.ts';
import { presentDeviceLeft } from '../presentFailure.ts';
import { chooseTrainingFolders } from './chooseTrainingFolders.ts';
import { chooseTrainingName } from './chooseTrainingName.ts';
import { makePlan, type MadePlan } from './makePlan.ts';
import type { Training } from './training.ts';
import { startFit } from './trainingActions.ts';
import type { TrainingPanel } from './trainingPanel.ts';

const title = 'Fit LIMe Routers on Workspace';

/** Asks for folders and a name, says what the fit will take, and queues it. */
export async function fitRouters({
  training,
  panel,
}: {
  readonly training: Training;
  readonly panel: TrainingPanel;
}): Promise<void> {
  const folders = await chooseTrainingFolders(title);
  const [first] = folders ?? [];
  if (!folders || !first) return;
  const name = await chooseTrainingName({
    title,
    prompt: 'Name of the fit: the layer map shows it',
    folder: first.name,
    taken: await training.fittedNames(),
    isTaken: 'There are routers of this name: the new ones will take their place.',
  });
  if (name === undefined) return;
  const made = await planned(training, training.fitRequest(name, folders));
  if (!made) return;
  if (made.left !== undefined) presentDeviceLeft(made.left);
  const tokens = await chooseTokens(made.plan);
  if (tokens === undefined) return;
  if (await startFit(training, { ...made.request, tokens })) panel.show();
}

/** What the fit will take, and on what; undefined where the user cancels. */
async function planned(
  training: Training,
  request: RouterFitRequest,
): Promise<MadePlan<RouterFitRequest, RouterFitPlan> | undefined> {
  const { ProgressLocation, window } = vscode;
  const options = {
    location: ProgressLocation.Notification,
    title: `Loupe: ${title}`,
    cancellable: true,
  };
  return window.withProgress(options, async (progress, token) => {
    const abort = new AbortController();
    token.onCancellationRequested(() => abort.abort());
    try {
      return await makePlan(request, {
        startTrainer: training.here().startTrainer,
        ask: (trainer, asked, toldBy) => trainer.call('planFit', asked, toldBy),
        onProgress: ({ step }) => progress.report({ message: `${step} …` }),
        signal: abort.signal,
      });
    } catch (error) {
      if (abort.signal.aborted) return undefined;
      throw error;
    }
  });
}

/** How many tokens to fit on, each choice with its time; the memory is the same for all. */
async function chooseTokens(plan: RouterFitPlan): Promise<number | undefined> {
  const { tokens, bytes, corpus } = plan;
  const time = (count: number): string => `about ${formatDuration(count * plan.secondsPerToken)}`;
  const counts = [...new Set([tokens, 20_000, 100_000, 400_000])];
  const items = [
    ...counts.map(count => ({
      label: `${formatCount(count)} tokens`,
      description: time(count),
      detail: count === tokens ? 'Recommended for this text' : '',
      count,
    })),
    { label: 'Another number…', description: '', detail: '', count: undefined },
  ];
  const chosen = await vscode.window.showQuickPick(items, {
    title: `${title}: ${formatDecimal(bytes / 1e9, 1)} GB of memory while it runs`,
    placeHolder: `Tokens to fit on; the text has ${formatCount(corpus.tokens)} and ${formatCount(corpus.heldOutTokens)} held out`,
  });
  if (!chosen || chosen.count !== undefined) return chosen?.count;
  const typed = await vscode.window.showInputBox({
    title,
    prompt: 'Tokens to fit on, counted with repetition',
    value: String(tokens),
    validateInput: text =>
      isCount(text)
        ? { message: time(Number(text)), severity: vscode.InputBoxValidationSeverity.Info }
        : 'A whole number, at least 1.',
  });
  return typed === undefined ? undefined : Number(typed);
}

function isCount(text: string): boolean {
  return /^\d{1,9}$/.test(text) && Number(text) >= 1;
}
