import * as vscode from 'vscode';
import { DisposableStore } from '../../common/disposable.ts';
import { Failure } from '../../common/failure.ts';
import {
  baseSource,
  featureCount,
  featureName,
  locateFeature,
  sourcesOf,
  type SourcedFeature,
} from '../../common/featureSources.ts';
import type { FeatureCard } from '../../contracts/engine.ts';
import type {
  FeatureHere,
  FeatureHost,
  FeatureState,
  FeatureView,
} from '../../contracts/panels.ts';
import { createCaller, serve, type Caller } from '../../messages/calls.ts';
import { acceptPages } from '../../messages/panel.ts';
import { selectionKey, type LoadedEngine } from '../engine/engine.ts';
import { failureText } from '../presentFailure.ts';
import { isFeature } from '../session.ts';
import type { SidebarSources } from './sidebarState.ts';
import { revealToken } from '../document/revealToken.ts';
import { rangeOf } from '../document/tokenDecorations.ts';
import { webviewHtml, webviewOptions } from './webviewHtml.ts';
import { webviewPort } from './webviewPort.ts';

const featurePanelType = 'loupe.feature';
const hereLimit = 50;
const contextCharacters = 60;

interface ShownCard {
  readonly card: FeatureCard;
  readonly located: SourcedFeature;
  /** Name of the base. */
  readonly sae: string;
  /** Of what it was read from. */
  readonly key: string;
}

/** The panel of one feature: its card from the reference corpus, and where it fires in the open document. */
class FeaturePanel implements vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly panel: vscode.WebviewPanel;
  private readonly sources: SidebarSources;
  private page: Caller<FeatureView> | undefined;
  private feature: number;
  private shown: ShownCard | undefined;
  private failure: Failure | undefined;
  private fetch = new AbortController();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    panel: vscode.WebviewPanel,
    extension: vscode.Uri,
    sources: SidebarSources,
    feature: number,
  ) {
    this.panel = panel;
    this.sources = sources;
    this.feature = feature;
    const { webview } = panel;
    webview.options = webviewOptions(extension);
    const pages = acceptPages(webviewPort(webview, panel.onDidDispose), connection => {
      serve<FeatureHost>(connection, this.handlers);
      this.page = createCaller<FeatureView>(connection);
    });
    const redraw = (): void => this.schedule();
    for (const subscription of [
      pages,
      sources.analyzer.onDidChange(redraw),
      sources.active.onDidChange(redraw),
      sources.session.onDidChange(redraw),
      sources.engine.onDidChangeState(() => this.engineChanged()),
      { dispose: () => clearTimeout(this.timer) },
      { dispose: () => this.fetch.abort() },
    ]) {
      this.owned.register(subscription);
    }
    webview.html = webviewHtml(webview, extension, 'feature');
    this.show(feature);
  }

  show(feature: number): void {
    this.feature = feature;
    this.shown = undefined;
    this.entitle();
    void this.load();
  }

  reveal(): void {
    this.panel.reveal(undefined, true);
  }

  dispose(): void {
    this.owned.dispose();
  }

  private readonly handlers = {
    ready: () => this.state(),
    go: ({ feature }: FeatureHost['go']['in']) => {
      const { loaded } = this.sources.engine;
      if (loaded && isFeature(feature) && feature < featureCount(loaded.sae)) this.show(feature);
      return null;
    },
    pin: ({ feature }: FeatureHost['pin']['in']) => {
      this.sources.session.pin(feature ?? undefined);
      return null;
    },
    reveal: ({ start }: FeatureHost['reveal']['in']) => {
      const document = this.sources.active.current;
      const [token] =
        (document &&
          this.sources.analyzer
            .of(document)
            ?.analysis?.tokensIn(start, start + 1, { k: 1, on: [] })) ??
        [];
      if (document && token) void revealToken(document, token);
      return null;
    },
  };

  /** Fetches the card; a later fetch overtakes an earlier one. */
  private async load(): Promise<void> {
    this.fetch.abort();
    const { signal } = (this.fetch = new AbortController());
    this.failure = undefined;
    this.schedule();
    try {
      const engine = await this.sources.engine.ready();
      if (!signal.aborted) this.follow(engine);
      const { feature } = this;
      const located = locateFeature(feature, sourcesOf(engine.sae));
      const card = await engine.caller.call('featureCard', { feature }, { signal });
      if (!signal.aborted && located)
        this.shown = { card, located, sae: engine.sae.name, key: selectionKey(engine) };
    } catch (error) {
      if (!signal.aborted) this.failure = Failure.from(error);
    }
    if (!signal.aborted) this.schedule();
  }

  /** Another SAE has other features; and a card that failed may be had from an engine that is back. */
  private engineChanged(): void {
    const { state } = this.sources.engine;
    if (state.kind !== 'ready') return;
    const isOther = this.shown && this.shown.key !== selectionKey(state.engine);
    if (this.failure || isOther) void this.load();
  }

  /** The numbers of a domain's features move when other domains are loaded: the feature shown stays the same. */
  private follow({ sae }: LoadedEngine): void {
    const { source, number } = this.shown?.located ?? {};
    const now = sourcesOf(sae).find(({ hash }) => hash === source?.hash);
    if (now && number !== undefined) this.feature = now.first + number;
    this.entitle();
  }

  private entitle(): void {
    const sae = this.sources.engine.loaded?.sae;
    const name = sae ? featureName(this.feature, sourcesOf(sae)) : `#${this.feature}`;
    this.panel.title = `Feature ${name}`;
  }

  private state(): FeatureState {
    if (this.failure) return { kind: 'failed', message: failureText(this.failure) };
    if (!this.shown) return { kind: 'busy' };
    const { card, sae, located } = this.shown;
    const { name, first, features } = located.source;
    const isDomain = name !== baseSource;
    return {
      kind: 'feature',
      card,
      sae: isDomain ? name : sae,
      isDomain,
      first,
      features,
      pinned: this.sources.session.pinned === card.feature,
      here: this.here(),
    };
  }

  private here(): FeatureHere[] {
    const document = this.sources.active.current;
    const analysis = document && this.sources.analyzer.of(document)?.analysis;
    if (!analysis) return [];
    const firings = analysis.firings(this.feature, this.sources.session.kept);
    const strongest = firings.sort((a, b) => b.activation - a.activation).slice(0, hereLimit);
    return strongest.map(({ start, end, activation }) => {
      const range = rangeOf(document, { start, end });
      const text = (from: number, to: number): string =>
        document.getText(rangeOf(document, { start: Math.max(0, from), end: to }));
      return {
        start,
        line: range.start.line + 1,
        before: text(start - contextCharacters, start),
        token: text(start, end),
        after: text(end, end + contextCharacters),
        activation,
      };
    });
  }

  private schedule(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      // A page that goes away meanwhile asks for the state when it comes back.
      this.page?.call('show', this.state()).catch(() => undefined);
    }, 16);
  }
}

/** Keeps the one feature panel: opens it beside the editor, shows another feature in it, restores it after a restart. */
export class FeaturePanels implements vscode.WebviewPanelSerializer, vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly extension: vscode.Uri;
  private readonly sources: SidebarSources;
  private open: FeaturePanel | undefined;

  constructor(extension: vscode.Uri, sources: SidebarSources) {
    this.extension = extension;
    this.sources = sources;
    this.owned.register(vscode.window.registerWebviewPanelSerializer(featurePanelType, this));
  }

  show(feature: number): void {
    if (this.open) {
      this.open.show(feature);
      this.open.reveal();
    } else this.adopt(this.create(), feature);
  }

  deserializeWebviewPanel(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    const feature: unknown =
      typeof state === 'object' && state !== null && 'feature' in state ? state.feature : undefined;
    this.adopt(panel, isFeature(feature) ? feature : 0);
    return Promise.resolve();
  }

  dispose(): void {
    this.open?.dispose();
    this.owned.dispose();
  }

  private create(): vscode.WebviewPanel {
    return vscode.window.createWebviewPanel(
      featurePanelType,
      'Feature',
      { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true },
      webviewOptions(this.extension),
    );
  }

  private adopt(panel: vscode.WebviewPanel, feature: number): void {
    const opened = new FeaturePanel(panel, this.extension, this.sources, feature);
    this.open = opened;
    panel.iconPath = vscode.Uri.joinPath(this.extension, 'media', 'icon.svg');
    panel.onDidDispose(() => {
      opened.dispose();
      if (this.open === opened) this.open = undefined;
    });
  }
}
