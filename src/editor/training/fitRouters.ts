import * as vscode from 'vscode';
import { domainNameFrom, domainNameProblem } from '../../common/domainName.ts';
import { Failure } from '../../common/failure.ts';
import { formatCount, formatDecimal, formatDuration } from '../../common/numbers.ts';
import type { RouterFitPlan, RouterFitRequest } from '../../contracts/routerFit.ts';
import { chooseTrainingFolders } from './chooseTrainingFolders.ts';
import type { Training } from './training.ts';
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
  const { queue } = training.here();
  const name = await vscode.window.showInputBox({
    title,
    prompt: 'Name of the fit: the layer map shows it',
    value: domainNameFrom(first.name),
    validateInput: text => domainNameProblem(text.trim()) ?? '',
  });
  if (name === undefined) return;
  const request = training.fitRequest(name.trim(), folders);
  const plan = await planned(training, request);
  if (!plan) return;
  const tokens = await chooseTokens(plan);
  if (tokens === undefined) return;
  await queue.add({ kind: 'routers', request: { ...request, tokens } });
  panel.show();
}

/** What the fit will take; undefined where the user cancels. */
async function planned(
  training: Training,
  request: RouterFitRequest,
): Promise<RouterFitPlan | undefined> {
  const { ProgressLocation, window } = vscode;
  const options = {
    location: ProgressLocation.Notification,
    title: `Loupe: ${title}`,
    cancellable: true,
  };
  return window.withProgress(options, async (progress, token) => {
    const abort = new AbortController();
    token.onCancellationRequested(() => abort.abort());
    const trainer = training.here().startTrainer(request.model);
    try {
      await trainer.ready;
      return await trainer.caller.call('planFit', request, {
        signal: abort.signal,
        onProgress: ({ step }) => progress.report({ message: `${step} …` }),
      });
    } catch (error) {
      if (abort.signal.aborted) return undefined;
      throw Failure.from(error);
    } finally {
      trainer.dispose();
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
