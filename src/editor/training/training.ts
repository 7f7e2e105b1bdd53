import { join } from 'node:path';
import * as vscode from 'vscode';
import { DisposableStore } from '../../common/disposable.ts';
import { Failure } from '../../common/failure.ts';
import type { RouterFitRequest } from '../../contracts/routerFit.ts';
import type { JobState, PlanChoice, TrainingState } from '../../contracts/trainingPanel.ts';
import { overallFraction } from '../../report/trainingProgress.ts';
import { listFittedRouters } from '../layerMaps/fittedRouters.ts';
import { onDidChangeSettings } from '../settings.ts';
import type { EngineProgram } from '../engine/engineProcess.ts';
import { startTrainer } from './trainerProcess.ts';
import { hasEnded, type TrainingJob } from './trainingJob.ts';
import { TrainingLock } from './trainingLock.ts';
import { presentDone, presentTakenOver, presentTrainingFailure } from './trainingNotices.ts';
import { TrainingPlanner } from './trainingPlanner.ts';
import { type FinishedTraining, type StartTrainer, TrainingQueue } from './trainingQueue.ts';
import { TrainingReports } from './trainingReports.ts';
import { fitRequest, trainingDraft } from './trainingRequest.ts';
import { TrainingStore } from './trainingStore.ts';

/** What a training has to do with the domains that can be switched on and off. */
export interface DomainList {
  /** Reads the domains' folder anew. */
  readonly refresh: () => unknown;
  readonly turn: (name: string, on: boolean) => unknown;
  /** Folders of the residual SAEs that are on. */
  readonly foldersOn: () => readonly string[];
}

/** What there is where a folder is open: its trainings lie in its storage. */
export interface WorkspaceTraining {
  readonly queue: TrainingQueue;
  readonly planner: TrainingPlanner;
  readonly reports: TrainingReports;
  readonly domainsFolder: string;
  readonly routersFolder: string;
  /** A process for a plan; whoever asks for it ends it. */
  readonly startTrainer: StartTrainer;
}

const shownKey = 'training.shown';
/** What a plan is made from: it is made anew when one of them changes. */
const settingNames = [
  'model.path',
  'sae.path',
  'device',
  'threads',
  'tensorflow.path',
  'training.include',
  'training.exclude',
  'training.useGitIgnore',
  'training.width',
  'training.k',
  'training.tokens',
  'training.mixGeneral',
  'training.diskBudget',
  'training.generalText',
] as const;

/** The trainings of the open workspace: plan, queue and reports, and what of them is shown. */
export class Training implements vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly changed = this.owned.register(new vscode.EventEmitter<void>());
  readonly onDidChange = this.changed.event;
  private readonly context: vscode.ExtensionContext;
  private readonly domains: DomainList;
  private readonly inWorkspace: WorkspaceTraining | undefined;
  private planned: (() => Promise<void>) | undefined;
  private isElsewhere = false;

  constructor(
    context: vscode.ExtensionContext,
    program: EngineProgram,
    domains: DomainList,
    log: vscode.LogOutputChannel,
  ) {
    this.context = context;
    this.domains = domains;
    const { storageUri } = context;
    if (storageUri?.scheme !== 'file') return;
    const changed = (): void => this.changed.fire();
    const start: StartTrainer = ({ device = 'cpu' }) => startTrainer(program, log, device);
    const trainings = join(storageUri.fsPath, 'trainings');
    const domainsFolder = join(storageUri.fsPath, 'domains');
    const routersFolder = join(storageUri.fsPath, 'routers');
    const reports = new TrainingReports(domainsFolder);
    const warn = (message: string): void => log.warn(message);
    const queue = new TrainingQueue({
      store: new TrainingStore(trainings, warn),
      startTrainer: start,
      onChange: changed,
      onDone: done => {
        void this.done(done)
          .then(() => presentDone(done, domains))
          .catch((error: unknown) => log.error(Failure.from(error)));
      },
      onFailed: (job, failure) => {
        log.error(failure);
        presentTrainingFailure(job, failure);
      },
      log: warn,
      now: Date.now,
    });
    const planner = new TrainingPlanner(start, changed);
    const lock = new TrainingLock(join(trainings, 'owner'));
    for (const part of [planner, queue, lock]) this.owned.register(part);
    this.owned.register(
      onDidChangeSettings(settingNames, () => planner.state && void this.planned?.()),
    );
    this.inWorkspace = {
      queue,
      planner,
      reports,
      domainsFolder,
      routersFolder,
      startTrainer: start,
    };
    void reports.refresh().then(changed);
    if (vscode.workspace.isTrusted) this.open(queue, lock);
    else {
      this.owned.register(vscode.workspace.onDidGrantWorkspaceTrust(() => this.open(queue, lock)));
    }
  }

  /** Takes up the workspace's trainings, once and as long as no other window has them. */
  private open(queue: TrainingQueue, lock: TrainingLock): void {
    const elsewhere = (): void => {
      this.isElsewhere = true;
      this.changed.fire();
    };
    lock.acquire({
      acquired: () => {
        this.isElsewhere = false;
        void queue.open();
      },
      waiting: elsewhere,
      lost: () => {
        const wasTraining = queue.active !== undefined;
        queue.close();
        elsewhere();
        if (wasTraining) presentTakenOver();
      },
    });
  }

  /** What trains here; fails with the reason where nothing can. */
  here(): WorkspaceTraining {
    const { obstacle } = this;
    if (this.inWorkspace && obstacle === null) return this.inWorkspace;
    throw new Failure('unsupported', obstacle ?? noFolder);
  }

  /** The reports of this workspace; none where no folder is open. */
  get reports(): TrainingReports | undefined {
    return this.inWorkspace?.reports;
  }

  get jobs(): readonly TrainingJob[] {
    return this.inWorkspace?.queue.all ?? [];
  }

  /** The training that runs or is paused. */
  get active(): TrainingJob | undefined {
    return this.inWorkspace?.queue.active;
  }

  /** Makes the plan of a training of these folders; settles when it is there, or has failed. */
  async plan(name: string, folders: readonly vscode.WorkspaceFolder[]): Promise<void> {
    const { planner, domainsFolder } = this.here();
    const begin = (): Promise<void> => {
      const otherDomains = this.domains.foldersOn();
      return planner.begin(
        trainingDraft(this.context, name, folders, { domainsFolder, otherDomains }),
      );
    };
    this.planned = begin;
    this.showReport(null);
    await begin();
  }

  /** A fit of routers on these folders, with the settings that there are now. */
  fitRequest(name: string, folders: readonly vscode.WorkspaceFolder[]): RouterFitRequest {
    return fitRequest(this.context, name, folders, this.here().routersFolder);
  }

  /** Names of the routers that were fitted in this workspace. */
  async fittedNames(): Promise<readonly string[]> {
    const sets = await listFittedRouters([this.here().routersFolder]);
    return sets.map(({ name }) => name);
  }

  /** Queues the training that was planned. */
  async start(choice: PlanChoice): Promise<void> {
    const { planner, queue } = this.here();
    const request = planner.take(choice);
    if (!request) return;
    await queue.add({ kind: 'residual', request });
    await this.refresh();
  }

  showReport(domain: string | null): void {
    void this.context.workspaceState.update(shownKey, domain ?? undefined);
    this.changed.fire();
  }

  /** Everything that the panel shows. */
  state(): TrainingState {
    const reports = this.inWorkspace?.reports.all ?? [];
    const domain = this.context.workspaceState.get<string>(shownKey);
    return {
      plan: this.inWorkspace?.planner.state ?? null,
      jobs: this.jobs.map(job => jobState(job, job === this.active)),
      reports: reports.map(entry => entry.domain),
      shown: reports.find(entry => entry.domain === domain) ?? null,
      obstacle: this.obstacle,
    };
  }

  dispose(): void {
    this.owned.dispose();
  }

  private get obstacle(): string | null {
    if (!this.inWorkspace) return noFolder;
    if (!vscode.workspace.isTrusted) return notTrusted;
    return this.isElsewhere ? 'Another window trains in this workspace.' : null;
  }

  private async done({ kind, name }: FinishedTraining): Promise<void> {
    await this.refresh();
    if (kind === 'routers') return;
    await this.domains.turn(name, true);
    const isReading = this.state().shown !== null || this.state().plan !== null;
    if (!isReading) this.showReport(name);
  }

  private async refresh(): Promise<void> {
    await this.inWorkspace?.reports.refresh();
    await this.domains.refresh();
    this.changed.fire();
  }
}

const notTrusted =
  'A training reads every file of the workspace: the workspace must be trusted first.';
const noFolder = 'Open a folder first: a training reads the files of a workspace folder.';

function jobState(job: TrainingJob, isActive: boolean): JobState {
  const { id, kind, status, progress, curve, failure, notice, request } = job;
  return {
    id,
    kind,
    name: request.name,
    status,
    fraction: status === 'done' ? 1 : progress ? overallFraction(kind, progress) : 0,
    progress,
    curve: isActive || hasEnded(job) ? curve : [],
    width: kind === 'residual' ? job.request.width : null,
    failure,
    notice,
  };
}
