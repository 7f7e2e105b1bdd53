import * as vscode from 'vscode';
import { DisposableStore } from '../../common/disposable.ts';
import { formatDecimal } from '../../common/numbers.ts';
import { escapeMarkdown } from '../../common/visibleText.ts';
import { overallFraction, stageText } from '../../report/trainingProgress.ts';
import type { Training } from './training.ts';
import type { TrainingJob } from './trainingJob.ts';

/** The training under way in the status bar, and what of it keybindings and menus may ask; hidden where there is none. */
export class TrainingStatus implements vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly item: vscode.StatusBarItem;
  private readonly training: Training;
  private readonly told = new Map<string, unknown>();

  constructor(training: Training) {
    this.training = training;
    const { window, StatusBarAlignment } = vscode;
    this.item = window.createStatusBarItem('loupe.training', StatusBarAlignment.Right, 49);
    this.owned.register(this.item);
    this.item.name = 'Loupe: Training';
    this.item.command = 'loupe.showTraining';
    this.owned.register(training.onDidChange(() => this.update()));
    this.update();
  }

  dispose(): void {
    this.owned.dispose();
  }

  private update(): void {
    const { active, jobs, reports } = this.training;
    const failed = jobs.some(({ status }) => status === 'failed');
    this.tell('loupe.training', active?.status ?? (failed ? 'failed' : 'none'));
    this.tell('loupe.hasReports', (reports?.all.length ?? 0) > 0);
    if (!active) {
      this.item.hide();
      return;
    }
    const waiting = jobs.filter(({ status }) => status === 'queued').length;
    const text = statusText(active);
    if (text !== this.item.text) {
      this.item.text = text;
      this.item.accessibilityInformation = { label: `Loupe ${text.replace(/\$\([^)]*\) /g, '')}` };
      this.item.tooltip = new vscode.MarkdownString(details(active, waiting).join('\n\n'));
    }
    this.item.show();
  }

  private tell(key: string, value: unknown): void {
    if (this.told.get(key) === value) return;
    this.told.set(key, value);
    void vscode.commands.executeCommand('setContext', key, value);
  }
}

function statusText({ kind, status, progress, request: { name } }: TrainingJob): string {
  const percent = progress ? ` ${Math.floor(100 * overallFraction(kind, progress))} %` : '';
  return status === 'paused'
    ? `$(debug-pause) ${name} paused${percent}`
    : `$(sync~spin) ${kind === 'routers' ? 'fitting' : 'training'} ${name}${percent}`;
}

function details({ progress, request, notice }: TrainingJob, waiting: number): string[] {
  const lines = [`**Loupe: training of ${escapeMarkdown(request.name)}**`];
  if (progress) {
    lines.push(
      stageText(progress),
      ...ev('domain', progress.domainEvBase, progress.domainEv),
      ...ev('general', progress.generalEvBase, progress.generalEv),
    );
  }
  if (waiting > 0) lines.push(`${waiting} more in the queue`);
  if (notice !== null) lines.push(escapeMarkdown(notice));
  return lines;
}

function ev(text: string, base: number | null, boosted: number | null): string[] {
  if (base === null || boosted === null) return [];
  return [`EV, ${text} text: ${formatDecimal(base)} → ${formatDecimal(boosted)}`];
}
