import * as vscode from 'vscode';
import { Failure } from '../common/failure.ts';
import type { ModelRequest } from '../contracts/engine.ts';
import type { LayerMap, LayerMapContract } from '../contracts/layerMap.ts';
import type { RouterSet, RouterSets, Work } from '../contracts/layerMapPanel.ts';
import type { Caller } from '../messages/calls.ts';
import { failureText } from './presentFailure.ts';

/** What layer maps are made from. */
export interface LayerMapSource {
  /** The engine's calls, whatever is loaded in it. */
  readonly connect: () => Promise<Caller<LayerMapContract>>;
  /** The model that the settings name. */
  readonly model: () => ModelRequest;
  /** Fitted routers that lie on this machine. */
  readonly routers: () => Promise<readonly RouterSet[]>;
}

/** The maps of the selected model's routers, its own or fitted ones. */
export class ModelMap implements vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChange = this.changed.event;
  private readonly source: LayerMapSource;
  private work: Work<LayerMap> = { kind: 'busy', step: 'Starting the engine', fraction: null };
  private sets: readonly RouterSet[] = [];
  private chosen: string | null = null;
  private run = new AbortController();
  private asked: ModelRequest | undefined;

  constructor(source: LayerMapSource) {
    this.source = source;
  }

  get state(): Work<LayerMap> {
    return this.work;
  }

  get routers(): RouterSets {
    return { sets: this.sets, chosen: this.chosen };
  }

  /** The model and routers whose maps are known; undefined while they are not. */
  get request(): ModelRequest | undefined {
    return this.work.kind === 'ready' ? this.asked : undefined;
  }

  /** Reads the maps anew; a reading under way is given up. */
  async load(): Promise<void> {
    this.run.abort();
    const { signal } = (this.run = new AbortController());
    const enter = (work: Work<LayerMap>): void => {
      if (signal.aborted) return;
      this.work = work;
      this.changed.fire();
    };
    try {
      enter({ kind: 'busy', step: 'Starting the engine', fraction: null });
      await this.refreshRouters();
      const caller = await this.source.connect();
      if (signal.aborted) return;
      const model = this.source.model();
      this.asked = this.chosen === null ? model : { ...model, routers: this.chosen };
      const onProgress = (progress: { step: string; fraction: number }): void =>
        enter({ kind: 'busy', ...progress });
      const value = await caller.call('layerMap', this.asked, { signal, onProgress });
      enter({ kind: 'ready', value });
    } catch (error) {
      enter({ kind: 'failed', message: failureText(Failure.from(error)) });
    }
  }

  /** Shows fitted routers by their folder, or the model's own. */
  async choose(path: string | null): Promise<void> {
    this.chosen = path;
    await this.load();
  }

  /** Looks for routers that were fitted, or deleted, meanwhile. */
  async refreshRouters(): Promise<void> {
    this.sets = await this.source.routers();
    if (!this.sets.some(({ path }) => path === this.chosen)) this.chosen = null;
    this.changed.fire();
  }

  dispose(): void {
    this.run.abort();
    this.changed.dispose();
  }
}
