import * as vscode from 'vscode';
import { DisposableStore } from '../common/disposable.ts';
import type { SaeInfo } from '../contracts/engine.ts';
import type { FeatureQuery, FeatureSort } from '../contracts/panels.ts';
import { onDidChangeSettings, setting } from './settings.ts';

/** What the user has selected in this workspace: the sparsity, the pinned feature and the feature list's query. */
interface Selection {
  /** Features kept per token. */
  readonly k: number;
  readonly pinned: number | undefined;
  readonly query: FeatureQuery;
  /** Path of the SAE that the pinned feature is one of. */
  readonly sae: string | undefined;
}

const largestK = 4096;
const sorts: readonly FeatureSort[] = ['strongest', 'mostTokens', 'rarest'];

/** Holds the selection, keeps it in the workspace's state, and tells of its changes. */
export class Session implements vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly changed = this.owned.register(new vscode.EventEmitter<void>());
  readonly onDidChange = this.changed.event;
  private readonly store: vscode.Memento;
  private selection: Selection;
  private bound = largestK;

  constructor(store: vscode.Memento) {
    this.store = store;
    this.selection = restore(store);
    this.owned.register(onDidChangeSettings(['sparsity'], () => this.setK(setting('sparsity'))));
  }

  /** Never above what the loaded SAE offers. */
  get k(): number {
    return Math.min(this.selection.k, this.bound);
  }

  get pinned(): number | undefined {
    return this.selection.pinned;
  }

  get query(): FeatureQuery {
    return this.selection.query;
  }

  /** The largest k of the loaded SAE. */
  get maxK(): number {
    return this.bound;
  }

  /** Follows the SAE that is loaded: it bounds k, and the numbers of another one's features mean nothing in it. */
  use({ path, maxK }: SaeInfo): void {
    this.bound = maxK;
    const isAnother = this.selection.sae !== undefined && this.selection.sae !== path;
    this.select({ sae: path, ...(isAnother ? { pinned: undefined } : {}) });
  }

  setK(k: number): void {
    if (!Number.isFinite(k)) return;
    this.select({ k: Math.min(Math.max(Math.round(k), 1), this.bound) });
  }

  /** Pins a feature: documents are tinted by it; undefined unpins. */
  pin(feature: number | undefined): void {
    if (feature !== undefined && !isFeature(feature)) return;
    this.select({ pinned: feature });
  }

  setQuery(query: FeatureQuery): void {
    this.select({ query: checkQuery(query) });
  }

  dispose(): void {
    this.owned.dispose();
  }

  private select(change: Partial<Selection>): void {
    this.selection = { ...this.selection, ...change };
    void this.store.update('selection', this.selection);
    this.changed.fire();
  }
}

/** Whether a value from outside (a link, a page, stored state) is a feature number. */
export function isFeature(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 24;
}

function restore(store: vscode.Memento): Selection {
  const stored = store.get<Partial<Selection>>('selection') ?? {};
  const { k, pinned, sae } = stored;
  return {
    k: typeof k === 'number' && k >= 1 ? Math.round(k) : setting('sparsity'),
    pinned: isFeature(pinned) ? pinned : undefined,
    query: checkQuery(stored.query),
    sae: typeof sae === 'string' ? sae : undefined,
  };
}

function checkQuery(query: Partial<FeatureQuery> | undefined): FeatureQuery {
  const { search, sort, hideDense } = query ?? {};
  return {
    search: typeof search === 'string' ? search.slice(0, 200) : '',
    sort: sorts.find(name => name === sort) ?? 'strongest',
    hideDense: hideDense === true,
  };
}
