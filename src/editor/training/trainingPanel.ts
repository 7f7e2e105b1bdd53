import * as vscode from 'vscode';
import { DisposableStore } from '../../common/disposable.ts';
import { Failure } from '../../common/failure.ts';
import type { TrainingHost, TrainingState, TrainingView } from '../../contracts/trainingPanel.ts';
import { createCaller, serve, type Caller, type Handlers } from '../../messages/calls.ts';
import { acceptPages } from '../../messages/panel.ts';
import { presentFailure } from '../presentFailure.ts';
import { isFeature } from '../session.ts';
import type { Training } from './training.ts';
import { cancelTraining, removeTraining, startPlanned } from './trainingActions.ts';
import { openPlace } from './trainingPlaces.ts';
import { webviewHtml, webviewOptions } from '../panels/webviewHtml.ts';
import { webviewPort } from '../panels/webviewPort.ts';

const trainingPanelType = 'loupe.training';

/** Milliseconds between two snapshots of a training under way. */
const interval = 250;

/** The panel of trainings and their reports: opened beside the editor, one per window, restored after a restart. */
export class TrainingPanel implements vscode.WebviewPanelSerializer, vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly extension: vscode.Uri;
  private readonly training: Training;
  private panel: vscode.WebviewPanel | undefined;
  private page: Caller<TrainingView> | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(extension: vscode.Uri, training: Training) {
    this.extension = extension;
    this.training = training;
    this.owned.register(vscode.window.registerWebviewPanelSerializer(trainingPanelType, this));
    this.owned.register(training.onDidChange(() => this.schedule()));
    this.owned.register({ dispose: () => clearTimeout(this.timer) });
  }

  show(): void {
    if (this.panel) {
      this.panel.reveal(undefined, false);
      return;
    }
    const column = vscode.window.activeTextEditor
      ? vscode.ViewColumn.Beside
      : vscode.ViewColumn.Active;
    this.adopt(
      vscode.window.createWebviewPanel(
        trainingPanelType,
        'Training',
        { viewColumn: column },
        webviewOptions(this.extension),
      ),
    );
  }

  deserializeWebviewPanel(panel: vscode.WebviewPanel): Promise<void> {
    this.adopt(panel);
    return Promise.resolve();
  }

  dispose(): void {
    this.owned.dispose();
  }

  private adopt(panel: vscode.WebviewPanel): void {
    this.panel?.dispose();
    this.panel = panel;
    const { webview } = panel;
    webview.options = webviewOptions(this.extension);
    panel.iconPath = vscode.Uri.joinPath(this.extension, 'media', 'icon.svg');
    const pages = acceptPages(webviewPort(webview, panel.onDidDispose), connection => {
      serve<TrainingHost>(connection, this.handlers);
      this.page = createCaller<TrainingView>(connection);
    });
    panel.onDidDispose(() => {
      pages.dispose();
      if (this.panel === panel) [this.panel, this.page] = [undefined, undefined];
    });
    this.title();
    webview.html = webviewHtml(webview, this.extension, 'training');
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
    if (!this.panel) return;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.title();
      // A page that goes away meanwhile asks for the state when it comes back.
      this.page?.call('show', this.training.state()).catch(() => undefined);
    }, interval);
  }

  private title(): void {
    const { shown }: TrainingState = this.training.state();
    if (this.panel) this.panel.title = shown ? `Report: ${shown.domain}` : 'Training';
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
