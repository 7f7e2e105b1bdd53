import * as vscode from 'vscode';
import { Failure } from '../../common/failure.ts';
import type { ModelRequest } from '../../contracts/engine.ts';
import type { LayerMap, LayerMapContract } from '../../contracts/layerMap.ts';
import type { RouterSet, RouterSets, Work } from '../../contracts/layerMapPanel.ts';
import type { Caller } from '../../messages/calls.ts';
import { agreementText, mapAgreement } from '../../report/mapAgreement.ts';
import { failureText } from '../presentFailure.ts';

/** What layer maps are made from. */
export interface LayerMapSource {
  /** The engine's calls, whatever is loaded in it. */
  readonly connect: () => Promise<Caller<LayerMapContract>>;
  /** The model that the settings name. */
  readonly model: () => ModelRequest;
  /** Fitted routers that lie on this machine. */
  readonly routers: () => Promise<readonly RouterSet[]>;
}

/** Other fits that the shown one is compared with, at most. */
const mostCompared = 4;

/** The maps of the selected model's routers, its own or fitted ones. */
export class ModelMap implements vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChange = this.changed.event;
  private readonly source: LayerMapSource;
  private work: Work<LayerMap> = { kind: 'busy', step: 'Starting the engine', fraction: null };
  private sets: RouterSets = { sets: [], chosen: null, agreements: [] };
  private run = new AbortController();
  private asked: ModelRequest | undefined;

  constructor(source: LayerMapSource) {
    this.source = source;
  }

  get state(): Work<LayerMap> {
    return this.work;
  }

  get routers(): RouterSets {
    return this.sets;
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
      const { chosen } = this.sets;
      this.asked = chosen === null ? model : { ...model, routers: chosen };
      const onProgress = (progress: { step: string; fraction: number }): void =>
        enter({ kind: 'busy', ...progress });
      const value = await caller.call('layerMap', this.asked, { signal, onProgress });
      enter({ kind: 'ready', value });
      if (chosen !== null) await this.compare(caller, value, signal);
    } catch (error) {
      enter({ kind: 'failed', message: failureText(Failure.from(error)) });
    }
  }

  /** Shows fitted routers by their folder, or the model's own. */
  async choose(path: string | null): Promise<void> {
    this.sets = { ...this.sets, chosen: path, agreements: [] };
    await this.load();
  }

  /** Looks for routers that were fitted, or deleted, meanwhile. */
  async refreshRouters(): Promise<void> {
    const sets = await this.source.routers();
    const { chosen } = this.sets;
    const isThere = sets.some(({ path }) => path === chosen);
    this.sets = { ...this.sets, sets, chosen: isThere ? chosen : null };
    this.changed.fire();
  }

  /** Holds the shown map against those of the other fits of the model: a single fit does not say how stable it is. */
  private async compare(
    caller: Caller<LayerMapContract>,
    shown: LayerMap,
    signal: AbortSignal,
  ): Promise<void> {
    const others = this.sets.sets.filter(({ path }) => path !== this.sets.chosen);
    const agreements: string[] = [];
    for (const { name, path } of others.slice(0, mostCompared)) {
      const request = { ...this.source.model(), routers: path };
      // A set of another model is refused: there is nothing to compare.
      const other = await caller.call('layerMap', request, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      if (other) agreements.push(agreementText(name, mapAgreement(shown, other)));
    }
    this.sets = { ...this.sets, agreements };
    this.changed.fire();
  }

  dispose(): void {
    this.run.abort();
    this.changed.dispose();
  }
}
