import * as vscode from 'vscode';
import type { Kept } from '../analysis/kept.ts';
import { DisposableStore } from '../common/disposable.ts';
import { locateFeature, sourcesOf, type FeatureSource } from '../common/featureSources.ts';
import type { DomainInfo, SaeInfo } from '../contracts/engine.ts';
import type { FeatureQuery, FeatureSort } from '../contracts/panels.ts';
import { onDidChangeSettings, setting } from './settings.ts';

/** What the user has selected in this workspace. */
interface Selection {
  /** Features of the base kept per token. */
  readonly k: number;
  readonly pinned: Pin | undefined;
  readonly query: FeatureQuery;
  /** Paths of the domains that are off: what is added or trained is on at first. */
  readonly off: readonly string[];
  /** Whether tokens are tinted by what the domains that are on change of the error. */
  readonly compare: boolean;
}

/** A feature by its SAE: its number among all changes with the domains that are loaded. */
interface Pin {
  /** Hash of its SAE; '': the base that is loaded next. */
  readonly sae: string;
  readonly number: number;
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
  private domains: readonly DomainInfo[] = [];
  private sources: readonly FeatureSource[] = [];

  constructor(store: vscode.Memento) {
    this.store = store;
    this.selection = restore(store);
    this.owned.register(onDidChangeSettings(['sparsity'], () => this.setK(setting('sparsity'))));
  }

  /** Never above what the loaded SAE offers. */
  get k(): number {
    return Math.min(this.selection.k, this.bound);
  }

  /** Which features count: k, and the domains that are loaded and on. */
  get kept(): Kept {
    const on = this.domains.flatMap(({ path }, i) => (this.isOn(path) ? [i] : []));
    return { k: this.k, on };
  }

  /** The domains that are loaded and on. */
  get domainsOn(): readonly DomainInfo[] {
    return this.domains.filter(({ path }) => this.isOn(path));
  }

  /** The pinned feature's number among all that are loaded. */
  get pinned(): number | undefined {
    const { pinned } = this.selection;
    const source = pinned && this.sources.find(({ hash }) => hash === pinned.sae);
    return source && source.first + pinned.number;
  }

  get query(): FeatureQuery {
    return this.selection.query;
  }

  /** Whether the comparison is asked for and there is something to compare. */
  get comparing(): boolean {
    return this.selection.compare && this.kept.on.length > 0;
  }

  /** The largest k of the loaded SAE. */
  get maxK(): number {
    return this.bound;
  }

  /** Follows what is loaded: it bounds k, and a pin ends with the SAE that it is in. */
  use(sae: SaeInfo): void {
    this.bound = sae.maxK;
    this.domains = sae.domains;
    this.sources = sourcesOf(sae);
    const { pinned } = this.selection;
    const asked = pinned?.sae === '' ? { ...pinned, sae: sae.hash } : pinned;
    const isLoaded = this.sources.some(({ hash }) => hash === asked?.sae);
    this.select({ pinned: isLoaded ? asked : undefined });
  }

  setK(k: number): void {
    if (!Number.isFinite(k)) return;
    this.select({ k: Math.min(Math.max(Math.round(k), 1), this.bound) });
  }

  /** Pins a feature by its number among all: documents are tinted by it; undefined unpins. */
  pin(feature: number | undefined): void {
    if (feature === undefined) this.select({ pinned: undefined });
    if (!isFeature(feature)) return;
    const located = locateFeature(feature, this.sources);
    if (located) this.select({ pinned: { sae: located.source.hash, number: located.number } });
    else if (this.sources.length === 0) this.select({ pinned: { sae: '', number: feature } });
  }

  setQuery(query: FeatureQuery): void {
    this.select({ query: checkQuery(query) });
  }

  /** Whether the domain in this folder is on, once it is loaded. */
  isOn(path: string): boolean {
    return !this.selection.off.includes(path);
  }

  /** Switches a domain; a pin of one of its features ends when it goes off. */
  setDomain(path: string, on: boolean): void {
    const rest = this.selection.off.filter(other => other !== path);
    const hash = this.domains.find(domain => domain.path === path)?.hash;
    const isPinned = this.selection.pinned !== undefined && this.selection.pinned.sae === hash;
    this.select({
      off: on ? rest : [...rest, path],
      ...(!on && isPinned ? { pinned: undefined } : {}),
    });
  }

  setCompare(compare: boolean): void {
    this.select({ compare });
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
  const { k, pinned, off, compare } = stored;
  return {
    k: typeof k === 'number' && k >= 1 ? Math.round(k) : setting('sparsity'),
    pinned: isPin(pinned) ? pinned : undefined,
    query: checkQuery(stored.query),
    off: Array.isArray(off) ? off.filter(path => typeof path === 'string') : [],
    compare: compare === true,
  };
}

function isPin(value: unknown): value is Pin {
  if (typeof value !== 'object' || value === null) return false;
  const { sae, number } = value as Partial<Pin>;
  return typeof sae === 'string' && isFeature(number);
}

function checkQuery(query: Partial<FeatureQuery> | undefined): FeatureQuery {
  const { search, sort, hideDense } = query ?? {};
  return {
    search: typeof search === 'string' ? search.slice(0, 200) : '',
    sort: sorts.find(name => name === sort) ?? 'strongest',
    hideDense: hideDense === true,
  };
}
