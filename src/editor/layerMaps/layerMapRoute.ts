import * as vscode from 'vscode';
import { DisposableStore } from '../../common/disposable.ts';
import { Failure } from '../../common/failure.ts';
import type { LayerMap, Route } from '../../contracts/layerMap.ts';
import type { RouteSelection } from '../../contracts/layerMapPanel.ts';
import type { DocumentRouter, RoutedDocument } from './layerMapDocument.ts';
import { failureText } from '../presentFailure.ts';
import { largest, type RouteTints } from './routeTints.ts';

/** The route that the user has selected, and the tints that it gives the document. */
export class SelectedRoute implements vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly changed = this.owned.register(new vscode.EventEmitter<void>());
  readonly onDidChange = this.changed.event;
  private readonly router: DocumentRouter;
  private readonly tints: RouteTints;
  private selection: RouteSelection = none;
  private shown: { readonly routed: RoutedDocument; readonly route: Route } | undefined;
  private run = new AbortController();

  constructor(router: DocumentRouter, tints: RouteTints) {
    this.router = router;
    this.tints = tints;
    this.owned.register(router.onDidChange(() => this.tint()));
    this.owned.register({ dispose: () => this.clear() });
  }

  get state(): RouteSelection {
    return this.selection;
  }

  /** Selects a route of this model; one that it does not have is none. */
  select(route: Route, map: LayerMap | undefined): void {
    if (!map || !isRoute(route, map)) return;
    this.enter({ route, problem: null });
    this.tint();
  }

  /** Lets go of a route that another model does not have. */
  keepWithin(map: LayerMap): void {
    const { route } = this.selection;
    if (route && !isRoute(route, map)) this.enter({ ...none });
    this.tint();
  }

  setTint(on: boolean): void {
    this.enter({ tint: on && this.selection.route !== null });
    this.tint();
  }

  dispose(): void {
    this.owned.dispose();
  }

  private clear(): void {
    this.run.abort();
    this.shown = undefined;
    this.tints.show(undefined);
  }

  private tint(): void {
    const { tint, route } = this.selection;
    const { routed } = this.router;
    if (!tint || !route || !routed) {
      this.clear();
      if (this.selection.tinted) this.enter({ tinted: null });
      return;
    }
    if (this.shown?.routed === routed && this.shown.route === route) return;
    this.shown = { routed, route };
    void this.load(routed, route);
  }

  private async load(routed: RoutedDocument, route: Route): Promise<void> {
    this.run.abort();
    const { signal } = (this.run = new AbortController());
    const { document, documentId, caller, routes } = routed;
    try {
      const found = await caller.call('routeTokens', { documentId, route }, { signal });
      if (signal.aborted) return;
      this.tints.show({ document, route, starts: routes.starts, ends: routes.ends, ...found });
      const { shares } = found;
      const mean = shares.reduce((sum, share) => sum + share, 0) / Math.max(1, shares.length);
      const tinted = { tokens: shares.length, mean, max: largest(shares) };
      this.enter({ tinted, problem: null });
    } catch (error) {
      if (signal.aborted) return;
      this.clear();
      this.enter({ tinted: null, problem: failureText(Failure.from(error)) });
    }
  }

  private enter(change: Partial<RouteSelection>): void {
    this.selection = { ...this.selection, ...change };
    this.changed.fire();
  }
}

const none: RouteSelection = { route: null, tint: false, tinted: null, problem: null };

function isRoute(route: Route, { layers, queryHeads }: LayerMap): boolean {
  const isIn = (value: unknown, end: number): boolean =>
    Number.isInteger(value) && (value as number) >= 0 && (value as number) < end;
  const { layer, head, buffer } = route;
  return isIn(layer, layers) && isIn(head, queryHeads) && isIn(buffer, layer + 1);
}
