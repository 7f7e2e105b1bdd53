import type { Call } from './call.ts';
import type { FeatureCard } from './engine.ts';

/** What the Loupe side bar (sparsity slider, document metrics, feature list) may ask of the extension host. */
export interface SidebarHost {
  /** The view is ready to draw: the host answers with the present state and then sends `SidebarView.show`. */
  ready: Call<null, SidebarState>;
  setK: Call<{ readonly k: number }, null>;
  setQuery: Call<FeatureQuery, null>;
  /** Pins a feature: the file is tinted by it; null unpins. */
  pin: Call<{ readonly feature: number | null }, null>;
  openFeature: Call<{ readonly feature: number }, null>;
  /** Switches a domain, by its path, on or off. */
  setDomain: Call<{ readonly path: string; readonly on: boolean }, null>;
  /** Tints tokens by what the domains that are on change of the error, or by their features again. */
  setCompare: Call<{ readonly on: boolean }, null>;
  /** Reveals the next token of the document on which the feature fires. */
  revealNext: Call<{ readonly feature: number }, null>;
  /** Runs one of Loupe's own commands named in the empty and failed states. */
  run: Call<{ readonly command: SidebarCommand }, null>;
}

/** What the host tells the side bar. Every message is a full snapshot. */
export interface SidebarView {
  show: Call<SidebarState, null>;
}

export type SidebarCommand =
  | 'analyzeDocument'
  | 'restartEngine'
  | 'showLog'
  | 'chooseModel'
  | 'chooseSae'
  | 'addDomain'
  | 'removeDomain'
  | 'trainResidual';

export interface FeatureQuery {
  readonly search: string;
  readonly sort: FeatureSort;
  readonly hideDense: boolean;
}

export type FeatureSort = 'strongest' | 'mostTokens' | 'rarest';

export type SidebarState =
  | { readonly kind: 'empty'; readonly reason: 'noDocument' | 'notAnalyzed' }
  | { readonly kind: 'busy'; readonly step: string; readonly fraction: number | null }
  | {
      readonly kind: 'failed';
      readonly message: string;
      readonly action: string | null;
      readonly commands: readonly SidebarCommand[];
    }
  | { readonly kind: 'analyzed'; readonly document: DocumentState };

export interface DocumentState {
  readonly fileName: string;
  readonly model: string;
  readonly sae: string;
  readonly hook: string;
  readonly k: number;
  readonly maxK: number;
  readonly tokens: number;
  readonly excluded: number;
  /** Mean number of active features of the base per included token at this k. */
  readonly l0: number;
  /** The same of the residual SAEs of the domains that are on. */
  readonly domainL0: number;
  /** Included tokens on which more features of the base may fire than the largest k keeps. */
  readonly capped: number;
  /** Explained variance of this document at this k by the base alone; NaN below two included tokens. */
  readonly ev: number;
  /** Explained variance at k = 1..maxK, from the same pass. */
  readonly evByK: Float32Array;
  /** The same with the domains that are on; null where none is. */
  readonly boostedEvByK: Float32Array | null;
  /** Every domain that is known, whether it could be loaded or not. */
  readonly domains: readonly DomainState[];
  /** Where tokens are tinted by what the domains change: the largest relative changes of their error. */
  readonly compared: { readonly shrunk: number; readonly grown: number } | null;
  /** Mean surprisal, nats per token. */
  readonly crossEntropy: number;
  readonly pinned: number | null;
  readonly query: FeatureQuery;
  readonly rows: readonly FeatureRow[];
  /** How many features matched the query; `rows` holds the first of them. */
  readonly matching: number;
  /** True while parts of the document are still to come. */
  readonly partial: boolean;
}

export interface DomainState {
  readonly name: string;
  readonly path: string;
  readonly on: boolean;
  /** Mean number of its features that fire per included token, whether it is on or not. */
  readonly l0: number;
  /** Explained variance at this k that it adds to the base alone. */
  readonly gain: number;
  /** Why it cannot be used; null where it can. */
  readonly problem: string | null;
}

export interface FeatureRow {
  /** Among all features: the base's come first, then one domain's after the other's. */
  readonly feature: number;
  /** Within its SAE. */
  readonly number: number;
  /** Name of the domain that it belongs to; null: the base. */
  readonly domain: string | null;
  readonly label: string;
  /** Number of tokens of this document on which it is active at this k. */
  readonly tokens: number;
  readonly maxActivation: number;
  /** Fraction of tokens of the reference corpus; NaN where unknown. */
  readonly density: number;
}

/** What the feature panel may ask of the host. */
export interface FeatureHost {
  ready: Call<null, FeatureState>;
  /** Moves to another feature by number, or by one step. */
  go: Call<{ readonly feature: number }, null>;
  pin: Call<{ readonly feature: number | null }, null>;
  /** Selects a token of the open document, by the offset that `FeatureHere` gave. */
  reveal: Call<{ readonly start: number }, null>;
}

/** What the host tells the feature panel. */
export interface FeatureView {
  show: Call<FeatureState, null>;
}

export type FeatureState =
  | { readonly kind: 'busy' }
  | { readonly kind: 'failed'; readonly message: string }
  | {
      readonly kind: 'feature';
      readonly card: FeatureCard;
      /** Number among all features of its SAE's feature 0, and how many its SAE has. */
      readonly first: number;
      readonly features: number;
      readonly pinned: boolean;
      /** The base's name, or the domain's. */
      readonly sae: string;
      readonly isDomain: boolean;
      /** Where it fires in the open document, strongest first. */
      readonly here: readonly FeatureHere[];
    };

export interface FeatureHere {
  /** UTF-16 offset of the token in the document. */
  readonly start: number;
  /** 1 for the first line. */
  readonly line: number;
  readonly before: string;
  readonly token: string;
  readonly after: string;
  readonly activation: number;
}
