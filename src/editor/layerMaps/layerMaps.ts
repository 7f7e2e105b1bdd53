import * as vscode from 'vscode';
import { DisposableStore } from '../../common/disposable.ts';
import type { LayerMap, Route } from '../../contracts/layerMap.ts';
import type { LayerMapState } from '../../contracts/layerMapPanel.ts';
import type { ActiveDocument } from '../document/activeDocument.ts';
import { CircuitSearch } from './layerMapCircuits.ts';
import { CollapseMeasurement } from './layerMapCollapse.ts';
import { DocumentRouter } from './layerMapDocument.ts';
import { ModelMap, type LayerMapSource } from './layerMapModel.ts';
import { SelectedRoute } from './layerMapRoute.ts';
import { TokenFollower } from './layerMapToken.ts';
import type { RouteTints } from './routeTints.ts';

/** What the editor knows of which layers each head reads; nothing is run before somebody looks. */
export class LayerMaps implements vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly changed = this.owned.register(new vscode.EventEmitter<void>());
  readonly onDidChange = this.changed.event;
  readonly model: ModelMap;
  readonly circuits: CircuitSearch;
  readonly collapse: CollapseMeasurement;
  readonly token: TokenFollower;
  private readonly document: DocumentRouter;
  private readonly route: SelectedRoute;
  private isOpen = false;
  private watched = false;
  private map: LayerMap | undefined;

  constructor(source: LayerMapSource, active: ActiveDocument, tints: RouteTints) {
    this.model = this.owned.register(new ModelMap(source));
    this.circuits = this.owned.register(new CircuitSearch(source, this.model));
    this.collapse = this.owned.register(new CollapseMeasurement(source, this.model, active));
    this.document = this.owned.register(new DocumentRouter(source, this.model, active));
    this.token = this.owned.register(new TokenFollower(this.document));
    this.route = this.owned.register(new SelectedRoute(this.document, tints));
    this.owned.register(this.model.onDidChange(() => this.modelChanged()));
    for (const part of [
      this.model,
      this.circuits,
      this.collapse,
      this.document,
      this.token,
      this.route,
    ])
      this.owned.register(part.onDidChange(() => this.changed.fire()));
  }

  get state(): LayerMapState {
    return {
      map: this.model.state,
      routers: this.model.routers,
      document: this.document.state,
      token: this.token.state,
      selection: this.route.state,
      circuits: this.circuits.state,
      collapse: this.collapse.state,
    };
  }

  /** Somebody looks: the maps are read. */
  open(): void {
    this.isOpen = true;
    void this.model.load();
  }

  /** Nobody looks any more: nothing is kept in the engine or the file. */
  close(): void {
    this.isOpen = false;
    this.watched = false;
    this.circuits.cancel();
    this.collapse.cancel();
    this.route.setTint(false);
    this.document.close();
  }

  /** Another model was selected. */
  reload(): void {
    if (this.isOpen) void this.model.load();
  }

  /** The engine ended, and with it what it knew of the document. */
  engineStopped(): void {
    if (this.isOpen) this.document.again();
  }

  /** The engine was ended as another was asked for, which does what the old one did not end. */
  engineRestarted(): void {
    if (this.isOpen && this.model.state.kind !== 'ready') void this.model.load();
    this.engineStopped();
  }

  watch(on: boolean): void {
    this.watched = on;
    this.watchDocument();
  }

  async retry(part: 'map' | 'document'): Promise<void> {
    if (part === 'map') await this.model.load();
    else this.document.again();
  }

  select(route: Route): void {
    this.route.select(route, this.map);
  }

  setTint(on: boolean): void {
    this.route.setTint(on);
    this.watchDocument();
  }

  async findCircuits(): Promise<void> {
    await this.circuits.find(this.route.state.route);
  }

  dispose(): void {
    this.owned.dispose();
  }

  /** The document is run for the tabs that show it, and for its tints. */
  private watchDocument(): void {
    this.document.watch(this.isOpen && (this.watched || this.route.state.tint));
  }

  private modelChanged(): void {
    const { state } = this.model;
    const map = state.kind === 'ready' ? state.value : undefined;
    if (map === this.map) return;
    this.map = map;
    if (map) this.route.keepWithin(map);
  }
}
