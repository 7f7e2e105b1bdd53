import * as vscode from 'vscode';
import { Failure } from '../../common/failure.ts';
import { chooseTrainingFolders } from './chooseTrainingFolders.ts';
import { chooseTrainingName } from './chooseTrainingName.ts';
import { fitRouters } from './fitRouters.ts';
import { presentFailure } from '../presentFailure.ts';
import type { Training } from './training.ts';
import { cancelTraining } from './trainingActions.ts';
import type { TrainingPanel } from './trainingPanel.ts';

interface TrainingTargets {
  readonly training: Training;
  readonly panel: TrainingPanel;
}

type Act = (targets: TrainingTargets, argument: unknown) => void | Promise<void>;

/** The commands of package.json that concern trainings. */
const commands: Readonly<Record<string, Act>> = {
  'loupe.trainResidual': trainResidual,
  'loupe.fitRouters': fitRouters,
  'loupe.showTraining': ({ training, panel }) => {
    training.showReport(null);
    panel.show();
  },
  'loupe.pauseTraining': async ({ training }) => {
    const { active } = training;
    if (active) await training.here().queue.pause(active.id);
  },
  'loupe.resumeTraining': async ({ training }, argument) => {
    const id = typeof argument === 'string' ? argument : resumable(training);
    if (id !== undefined) await training.here().queue.resume(id);
  },
  'loupe.cancelTraining': async ({ training }) => {
    const { active } = training;
    if (active) await cancelTraining(training, active.id);
  },
  'loupe.showReport': showReport,
};

/** Registers them all; what one throws is told to the user in one way. */
export function registerTrainingCommands(targets: TrainingTargets): vscode.Disposable {
  const run = async (act: Act, argument: unknown): Promise<void> => {
    try {
      await act(targets, argument);
    } catch (error) {
      presentFailure(Failure.from(error), 'trainer');
    }
  };
  return vscode.Disposable.from(
    ...Object.entries(commands).map(([id, act]) =>
      vscode.commands.registerCommand(id, (argument: unknown) => run(act, argument)),
    ),
  );
}

const title = 'Train Residual SAE on Workspace';

/** Asks for folders and a name, and shows what would be trained on; the panel starts it. */
async function trainResidual({ training, panel }: TrainingTargets): Promise<void> {
  const folders = await chooseTrainingFolders(title);
  const [first] = folders ?? [];
  if (!folders || !first) return;
  const { reports } = training.here();
  const name = await chooseTrainingName({
    title,
    prompt: 'Name of the domain: it marks the features that are learnt',
    folder: first.name,
    taken: reports.all.map(({ domain }) => domain),
    isTaken: 'There is a domain of this name: the new one will take its place.',
  });
  if (name === undefined) return;
  const planned = training.plan(name, folders);
  panel.show();
  await planned;
}

/** The paused training, or the one that failed last. */
function resumable({ active, jobs }: Training): string | undefined {
  if (active?.status === 'paused') return active.id;
  return jobs.findLast(({ status }) => status === 'failed')?.id;
}

async function showReport({ training, panel }: TrainingTargets, argument: unknown): Promise<void> {
  const names = training.reports?.all.map(({ domain }) => domain) ?? [];
  if (names.length === 0) {
    throw new Failure('empty', 'No domain of this workspace has a report yet.', {
      action: 'Train one: Loupe: Train Residual SAE on Workspace.',
    });
  }
  const isKnown = typeof argument === 'string' && names.includes(argument);
  const chosen = isKnown ? argument : names.length === 1 ? names[0] : await pick(names);
  if (chosen === undefined) return;
  training.showReport(chosen);
  panel.show();
}

async function pick(names: readonly string[]): Promise<string | undefined> {
  return vscode.window.showQuickPick(names, { title: 'Show Report', placeHolder: 'Domain' });
}
