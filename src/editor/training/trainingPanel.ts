import * as vscode from 'vscode';
import { DisposableStore } from '../../common/disposable.ts';
import { Failure } from '../../common/failure.ts';
import type { TrainingHost, TrainingState, TrainingView } from '../../contracts/trainingPanel.ts';
import type { Handlers } from '../../messages/calls.ts';
import { SinglePanel } from '../panels/singlePanel.ts';
import { presentFailure } from '../presentFailure.ts';
import { isFeature } from '../session.ts';
import type { Training } from './training.ts';
import { cancelTraining, removeTraining, startPlanned } from './trainingActions.ts';
import { openPlace } from './trainingPlaces.ts';

/** Milliseconds between two snapshots of a training under way. */
const interval = 250;

/** The panel of trainings and their reports. */
export class TrainingPanel implements vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly training: Training;
  private readonly single: SinglePanel<TrainingHost, TrainingView>;
  private timer: NodeJS.Timeout | undefined;

  constructor(extension: vscode.Uri, training: Training) {
    this.training = training;
    this.single = this.owned.register(
      new SinglePanel<TrainingHost, TrainingView>(extension, {
        ...{ type: 'loupe.training', title: 'Training', page: 'training' },
        handlers: this.handlers,
        onOpen: panel => this.entitle(panel),
        onClose: () => undefined,
      }),
    );
    this.owned.register(training.onDidChange(() => this.schedule()));
    this.owned.register({ dispose: () => clearTimeout(this.timer) });
  }

  show(): void {
    this.single.show();
  }

  dispose(): void {
    this.owned.dispose();
  }

  private readonly handlers: Handlers<TrainingHost> = {
    ready: () => this.training.state(),
    train: () => act(() => vscode.commands.executeCommand('loupe.trainResidual')),
    start: choice => act(() => startPlanned(this.training, choice)),
    dropPlan: () => act(() => this.training.here().planner.drop()),
    pause: ({ id }) => act(() => this.training.here().queue.pause(id)),
    resume: ({ id }) => act(() => this.training.here().queue.resume(id)),
    cancel: ({ id }) => act(() => cancelTraining(this.training, id)),
    remove: ({ id }) => act(() => removeTraining(this.training, id)),
    showReport: ({ domain }) => act(() => this.training.showReport(domain)),
    report: ({ domain }) => reportsOf(this.training).read(domain),
    openMarkdown: ({ domain }) =>
      act(async () => {
        const path = await reportsOf(this.training).writeMarkdown(domain);
        await vscode.commands.executeCommand('markdown.showPreview', vscode.Uri.file(path));
      }),
    copyJson: ({ domain }) =>
      act(async () => {
        await vscode.env.clipboard.writeText(await reportsOf(this.training).json(domain));
        vscode.window.setStatusBarMessage(`Loupe: the report of ${domain} is copied.`, 4000);
      }),
    openPlace: placed => act(() => openPlace(placed)),
    openFeature: ({ feature }) =>
      act(() => {
        if (isFeature(feature)) void vscode.commands.executeCommand('loupe.showFeature', feature);
      }),
    openSettings: () =>
      act(() => vscode.commands.executeCommand('workbench.action.openSettings', 'loupe.training')),
    showLayerMap: ({ id }) =>
      act(() => {
        const job = this.training.jobs.find(candidate => candidate.id === id);
        return vscode.commands.executeCommand('loupe.showLayerMap', job?.request.folder);
      }),
    showLog: () => act(() => vscode.commands.executeCommand('loupe.showLog')),
  };

  private schedule(): void {
    if (!this.single.panel) return;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      const { panel, page } = this.single;
      if (panel) this.entitle(panel);
      // A page that goes away meanwhile asks for the state when it comes back.
      page?.call('show', this.training.state()).catch(() => undefined);
    }, interval);
  }

  private entitle(panel: vscode.WebviewPanel): void {
    const { shown }: TrainingState = this.training.state();
    panel.title = shown ? `Report: ${shown.domain}` : 'Training';
  }
}

function reportsOf({ reports }: Training): NonNullable<Training['reports']> {
  if (reports) return reports;
  throw new Failure('not-found', 'No folder is open: there are no reports.');
}

/** Does what the page asked for; what goes wrong is told in the editor's own way. */
async function act(action: () => unknown): Promise<null> {
  try {
    await action();
  } catch (error) {
    presentFailure(Failure.from(error), 'trainer');
  }
  return null;
}
