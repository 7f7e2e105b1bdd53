import type { Call } from './call.ts';
import type { CollapseResult } from './collapse.ts';
import type { Circuits, LayerMap, Route, RouteMap } from './layerMap.ts';

/** What the layer map panel may ask of the extension host. */
export interface LayerMapHost {
  /** The page is ready to draw: the host answers with the present state and then sends `LayerMapView.show`. */
  ready: Call<null, LayerMapState>;
  /** Whether the page shows something of the document: it is run only then. */
  watchDocument: Call<{ readonly on: boolean }, null>;
  /** Reads the maps again, or runs the document again, after a failure. */
  retry: Call<{ readonly part: 'map' | 'document' }, null>;
  /** Routers to show by their folder; null: the model's own. */
  chooseRouters: Call<{ readonly path: string | null }, null>;
  /** Runs one of Loupe's commands. */
  run: Call<{ readonly command: LayerMapCommand }, null>;
  selectRoute: Call<{ readonly route: Route }, null>;
  /** Tints the tokens of the file by the selected route. */
  setTint: Call<{ readonly on: boolean }, null>;
  /** Moves the cursor in the file to a token. */
  moveToken: Call<{ readonly token: number }, null>;
  findCircuits: Call<null, null>;
  cancelCircuits: Call<null, null>;
  /** Opens the file of a token that was found, and selects it. */
  openCircuit: Call<{ readonly index: number }, null>;
  /** Measures whether the layers tell tokens apart, of the model and of the one that it is compared with. */
  measureCollapse: Call<
    { readonly words: readonly string[]; readonly text: 'document' | 'workspace' },
    null
  >;
  cancelCollapse: Call<null, null>;
  /** `unfitted`: the same model without the fitted routers; `file`: lets the user choose a model. */
  compareCollapse: Call<{ readonly with: 'none' | 'unfitted' | 'file' }, null>;
  /** For pages that may not write the clipboard. */
  copyText: Call<{ readonly text: string }, null>;
  saveImage: Call<{ readonly name: string; readonly png: Uint8Array }, null>;
}

/** What the host tells the page: the parts of the state that changed, each whole. */
export interface LayerMapView {
  show: Call<Partial<LayerMapState>, null>;
}

export type LayerMapCommand = 'fitRouters' | 'chooseModel' | 'showLog';

export interface LayerMapState {
  readonly map: Work<LayerMap>;
  readonly routers: RouterSets;
  readonly document: Work<DocumentMap> | { readonly kind: 'none'; readonly reason: string };
  readonly token: Work<TokenMap> | { readonly kind: 'none' };
  readonly selection: RouteSelection;
  readonly circuits: Work<FoundCircuits> | { readonly kind: 'none' };
  readonly collapse: CollapseState;
}

/** Something that the engine is asked for. */
export type Work<T> =
  | { readonly kind: 'busy'; readonly step: string; readonly fraction: number | null }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'ready'; readonly value: T };

/** Fitted routers that lie on this machine. */
export interface RouterSets {
  readonly sets: readonly RouterSet[];
  /** The path of the one that is shown; null: the model's own. */
  readonly chosen: string | null;
  /** What the shown routers have in common with each other set of the same model, a sentence each. */
  readonly agreements: readonly string[];
}

export interface RouterSet {
  readonly name: string;
  readonly path: string;
}

/** The open document's routes by contribution. */
export interface DocumentMap {
  readonly fileName: string;
  /** Tokens that were run. */
  readonly tokens: number;
  readonly isPart: boolean;
  readonly convention: string;
  readonly contribution: RouteMap;
  readonly initial: RouteMap;
}

/** The token under the cursor. */
export interface TokenMap {
  /** Among the tokens that were run, from 0. */
  readonly token: number;
  readonly tokens: number;
  /** 1 for the first line. */
  readonly line: number;
  readonly before: string;
  readonly text: string;
  readonly after: string;
  /** (L, H, L): where the output of each head came from. */
  readonly shares: Float32Array;
  readonly initial: Float32Array;
}

export interface RouteSelection {
  readonly route: Route | null;
  readonly tint: boolean;
  /** What the tint shows; null while it is off or under way. */
  readonly tinted: { readonly tokens: number; readonly mean: number; readonly max: number } | null;
  /** Why the file cannot be tinted. */
  readonly problem: string | null;
}

export interface FoundCircuits {
  readonly route: Route;
  readonly found: Circuits;
}

/** Whether the layers tell tokens apart. */
export interface CollapseState {
  /** What the model is compared with. */
  readonly against: { readonly kind: 'unfitted' | 'file'; readonly name: string } | null;
  readonly work: Work<MeasuredCollapse> | { readonly kind: 'none' };
}

export interface MeasuredCollapse {
  /** What text it was. */
  readonly text: string;
  /** Of the model, and of the one that it is compared with. */
  readonly models: readonly NamedCollapse[];
}

export interface NamedCollapse {
  readonly name: string;
  readonly result: CollapseResult;
}
