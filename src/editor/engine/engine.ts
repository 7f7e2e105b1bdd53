import * as vscode from 'vscode';
import { DisposableStore, DisposableValue } from '../../common/disposable.ts';
import { Failure } from '../../common/failure.ts';
import type { DeviceState } from '../../contracts/devices.ts';
import type {
  DeviceChoice,
  DomainRequest,
  EngineContract,
  FeatureLabels,
  LoadProgress,
  ModelInfo,
  ModelRequest,
  SaeInfo,
} from '../../contracts/engine.ts';
import type { Caller, CallOptions } from '../../messages/calls.ts';
import { EngineRestarts, type EngineStop } from './engineRestarts.ts';
import { EngineProcess, engineRole, type EngineProgram } from './engineProcess.ts';

/** A running engine with the selected model and SAE loaded. */
export interface LoadedEngine {
  readonly caller: Caller<EngineContract>;
  readonly model: ModelInfo;
  readonly sae: SaeInfo;
  readonly labels: FeatureLabels;
}

/** What went wrong, and what the user may choose anew to mend it. */
export interface EngineFailure {
  readonly failure: Failure;
  readonly stage: 'process' | 'model' | 'sae';
}

export type EngineState =
  | { readonly kind: 'off' }
  | { readonly kind: 'loading'; readonly step: string; readonly fraction: number | null }
  | { readonly kind: 'ready'; readonly engine: LoadedEngine }
  | ({ readonly kind: 'failed' } & EngineFailure);

/** Which model and SAE, with which domains, are to be loaded. */
export interface EngineSelection {
  readonly model: ModelRequest;
  readonly saePath: string;
  readonly domains: readonly DomainRequest[];
}

/** The engine as the editor sees it: off until it is needed, then loading, ready or failed; restarted once by itself. */
export class Engine implements vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly changed = this.owned.register(new vscode.EventEmitter<void>());
  private readonly stopped = this.owned.register(new vscode.EventEmitter<EngineStop>());
  private readonly restarted = this.owned.register(new vscode.EventEmitter<void>());
  private readonly deviceChanged = this.owned.register(
    new vscode.EventEmitter<DeviceState | undefined>(),
  );
  private readonly process = this.owned.register(
    new DisposableValue<EngineProcess<EngineContract>>(),
  );
  private readonly restarts = new EngineRestarts();
  private current: EngineState = { kind: 'off' };
  private last: LoadedEngine | undefined;
  private loading: Promise<LoadedEngine> | undefined;
  /** The load in progress, or the last one: one that was overtaken by another changes nothing any more. */
  private load = new AbortController();
  private loadedModel: { readonly key: string; readonly info: ModelInfo } | undefined;

  readonly onDidChangeState = this.changed.event;
  /** The process has ended without being asked to. */
  readonly onDidStop = this.stopped.event;
  /** The process was ended as another was asked for: its calls are dead, and `connect` has those of the next. */
  readonly onDidRestart = this.restarted.event;
  /** Another device is used, or as much memory; with what was before. */
  readonly onDidChangeDevice = this.deviceChanged.event;
  private currentDevice: DeviceState | undefined;
  /** What the settings named when the running process, or the last one that got so far, was to load a model. */
  private askedDevice: DeviceChoice | undefined;
  private readonly program: EngineProgram;
  private readonly selection: () => Promise<EngineSelection>;
  private readonly log: vscode.LogOutputChannel;

  constructor(
    program: EngineProgram,
    selection: () => Promise<EngineSelection>,
    log: vscode.LogOutputChannel,
  ) {
    this.program = program;
    this.selection = selection;
    this.log = log;
  }

  get state(): EngineState {
    return this.current;
  }

  /** What the model runs on, and what that takes; undefined while none is loaded. */
  get device(): DeviceState | undefined {
    return this.currentDevice;
  }

  /** The engine that was last ready: names, shapes and labels, also while it is away; its caller may be dead. */
  get loaded(): LoadedEngine | undefined {
    return this.last;
  }

  /** The engine with everything loaded; starts it, or tries again after a failure. */
  ready(): Promise<LoadedEngine> {
    return (this.loading ??= this.loadSelection());
  }

  /** The engine's calls, whether or not the selected model and SAE are loaded; starts the process. */
  connect(): Promise<Caller<EngineContract>> {
    return this.start();
  }

  /** Another model, SAE or list of domains was selected, or one anew: loads it if the engine is in use. */
  reload(): void {
    if (this.current.kind === 'off') return;
    this.loading = this.loadSelection();
    this.loading.catch(() => undefined); // the state tells
  }

  /** Ends the process and starts another, on the device that the settings name. */
  async restart(): Promise<void> {
    this.restarts.forget();
    this.endProcess();
    const loading = (this.loading = this.loadSelection());
    this.restarted.fire();
    await loading;
  }

  /** The settings name another device or runtime: nothing goes on in the old process. The state tells of a failure. */
  async renew(): Promise<void> {
    if (this.current.kind !== 'off') {
      await this.restart().catch(() => undefined);
      return;
    }
    // Nothing was loaded to be analysed, but `connect` may have started a process for other calls.
    this.restarts.forget();
    this.endProcess();
    this.restarted.fire();
  }

  dispose(): void {
    this.load.abort();
    this.owned.dispose();
  }

  private async loadSelection(): Promise<LoadedEngine> {
    this.load.abort();
    const load = (this.load = new AbortController());
    const { signal } = load;
    let stage: EngineFailure['stage'] = 'process';
    const onProgress = (progress: LoadProgress): void => {
      if (!signal.aborted) this.enter({ kind: 'loading', ...progress });
    };
    try {
      this.enter({ kind: 'loading', step: 'Starting the engine', fraction: null });
      const caller = await this.start();
      const { model: selected, saePath, domains } = await this.selection();
      const { insteadOfDevice } = this.restarts;
      const request = { ...selected, ...(insteadOfDevice !== undefined && { insteadOfDevice }) };
      this.askedDevice = selected.device;
      stage = 'model';
      const model = await this.loadModel(caller, request, { signal, onProgress });
      stage = 'sae';
      const saes = { path: saePath, domains };
      const sae = await caller.call('loadSae', saes, { signal, onProgress });
      const labels = await caller.call('featureLabels', null, { signal });
      const engine = { caller, model, sae, labels };
      this.last = engine;
      this.enter({ kind: 'ready', engine });
      return engine;
    } catch (error) {
      const failure = Failure.from(error);
      // The pending call hears of the end before the process's own event does.
      if (failure.code === 'stopped' && !signal.aborted) await this.process.value?.ended;
      if (signal.aborted && this.loading) return this.loading;
      this.loading = undefined;
      if (!signal.aborted) this.fail(failure, stage);
      throw failure;
    }
  }

  private async start(): Promise<Caller<EngineContract>> {
    if (this.process.value) return this.process.value.caller;
    const { program, log, restarts } = this;
    const device = restarts.insteadOfDevice === undefined ? undefined : 'cpu';
    const started = new EngineProcess<EngineContract>(program, engineRole, log, device);
    this.process.value = started;
    started.onDidStop(reason => this.processStopped(reason));
    this.watchDevice(started);
    try {
      await started.shakeHands();
    } catch (error) {
      // The pending call hears of the end before the process's own event does, which starts another.
      if (Failure.is(error, 'stopped')) await started.ended;
      if (this.process.value === started) this.process.value = undefined;
      throw error;
    }
    return started.caller;
  }

  /** Until the process ends. */
  private watchDevice({ caller }: EngineProcess<EngineContract>): void {
    const onProgress = (state: DeviceState): void => {
      const before = this.currentDevice;
      this.currentDevice = state;
      this.deviceChanged.fire(before);
    };
    caller.call('watchDevice', null, { onProgress }).catch(() => undefined);
  }

  private async loadModel(
    caller: Caller<EngineContract>,
    request: ModelRequest,
    options: CallOptions<LoadProgress>,
  ): Promise<ModelInfo> {
    const key = JSON.stringify(request);
    if (this.loadedModel?.key === key) return this.loadedModel.info;
    this.loadedModel = undefined;
    const info = await caller.call('loadModel', request, options);
    this.loadedModel = { key, info };
    return info;
  }

  private processStopped(reason: string): void {
    this.log.error(`The engine stopped: ${reason}.`);
    const on = { used: this.currentDevice?.device, asked: this.askedDevice };
    const stop = this.restarts.stopped(Date.now(), reason, on);
    // Where only `connect` used it, its next call starts another.
    const wasLoaded = this.current.kind !== 'off';
    if (stop.insteadOfDevice !== undefined) this.log.warn(stop.insteadOfDevice);
    this.endProcess();
    if (stop.restarting && wasLoaded) {
      this.loading = this.loadSelection();
      this.loading.catch(() => undefined); // the state tells
    } else if (!stop.restarting) {
      const failure = new Failure('stopped', `The engine stopped again (${reason}).`, {
        action: 'Restart it, or look at the log.',
      });
      this.fail(failure, 'process');
    }
    this.stopped.fire(stop);
  }

  private endProcess(): void {
    this.load.abort();
    this.currentDevice = undefined;
    this.process.value = undefined;
    this.loadedModel = undefined;
    this.loading = undefined;
  }

  private fail(failure: Failure, stage: EngineFailure['stage']): void {
    this.log.error(failure);
    this.enter({ kind: 'failed', failure, stage });
  }

  private enter(state: EngineState): void {
    this.current = state;
    this.changed.fire();
  }
}

/** Tells results of one model and SAE with its domains from those of another. */
export function selectionKey({ model, sae }: LoadedEngine): string {
  return [model, sae, ...sae.domains].map(({ hash }) => hash).join(' ');
}
