import * as vscode from 'vscode';
import { selectFeatures } from '../../analysis/featureStatistics.ts';
import { sourcesOf } from '../../common/featureSources.ts';
import type { DocumentState, SidebarCommand, SidebarState } from '../../contracts/panels.ts';
import type { ActiveDocument } from '../document/activeDocument.ts';
import type { AnalyzedDocument } from '../document/analyzedDocument.ts';
import type { Analyzer } from '../document/analyzer.ts';
import type { Engine, EngineState, LoadedEngine } from '../engine/engine.ts';
import type { Session } from '../session.ts';
import { setting } from '../settings.ts';

/** Rows of the feature list that a page gets; a search finds the others. */
const rowLimit = 200;

/** Whose state the side bar shows. */
export interface SidebarSources {
  readonly engine: Engine;
  readonly analyzer: Analyzer;
  readonly active: ActiveDocument;
  readonly session: Session;
}

/** What the side bar shows now. */
export function sidebarState(sources: SidebarSources): SidebarState {
  const { engine, analyzer, active } = sources;
  const document = active.current;
  const analyzed = document && analyzer.of(document);
  // What was analysed to its end stays readable while the engine is away.
  const isCut = engine.state.kind === 'failed' && analyzed?.stage.kind !== 'done';
  if (analyzed?.analysis && engine.loaded && !isCut) {
    return { kind: 'analyzed', document: documentState(analyzed, engine.loaded, sources.session) };
  }
  const { state } = engine;
  if (state.kind === 'failed') return engineFailed(state);
  if (analyzed?.stage.kind === 'failed') {
    const { message, action } = analyzed.stage.failure;
    return { kind: 'failed', message, action: action ?? null, commands: ['analyzeDocument'] };
  }
  if (state.kind === 'loading') return { ...state, kind: 'busy' };
  if (analyzed) return { kind: 'busy', step: 'Analyzing the document', fraction: null };
  return { kind: 'empty', reason: document ? 'notAnalyzed' : 'noDocument' };
}

function engineFailed(state: Extract<EngineState, { kind: 'failed' }>): SidebarState {
  const first: Record<typeof state.stage, readonly SidebarCommand[]> = {
    process: ['restartEngine'],
    model: ['chooseModel'],
    sae: ['chooseSae'],
  };
  return {
    kind: 'failed',
    message: state.failure.message,
    action: state.failure.action ?? null,
    commands: [...first[state.stage], 'showLog'],
  };
}

function documentState(
  { document, analysis, stage }: AnalyzedDocument,
  { model, sae, labels }: LoadedEngine,
  { kept, pinned, query, comparing }: Session,
): DocumentState {
  if (!analysis) throw new Error(`${document.fileName} has not been analyzed`);
  const { k, on } = kept;
  const metrics = analysis.metrics(on);
  const { tokens, excluded, full, l0ByK, domainL0, evByK, boostedEvByK } = metrics;
  const ev = evByK[k - 1] ?? NaN;
  const limits = {
    denseAbove: setting('features.denseAbove'),
    limit: rowLimit,
    sources: sourcesOf(sae),
  };
  const { rows, matching } = selectFeatures(analysis.statistics(kept), labels, query, limits);
  return {
    fileName: vscode.workspace.asRelativePath(document.uri),
    model: model.name,
    sae: sae.name,
    hook: sae.hook,
    k,
    maxK: sae.maxK,
    tokens,
    excluded,
    l0: l0ByK[k - 1] ?? 0,
    domainL0: on.reduce((sum, domain) => sum + (domainL0[domain] ?? 0), 0),
    // Of a top-k SAE no more features fire than its largest k.
    capped: sae.kind === 'topk' || sae.kind === 'groupmax' || k < sae.maxK ? 0 : full,
    ev,
    evByK: Float32Array.from(evByK),
    boostedEvByK: on.length === 0 ? null : Float32Array.from(boostedEvByK),
    domains: [
      ...sae.domains.map(({ name, path }, i) => ({
        name,
        path,
        on: on.includes(i),
        l0: domainL0[i] ?? 0,
        gain: (analysis.metrics([i]).boostedEvByK[k - 1] ?? NaN) - ev,
        problem: null,
      })),
      ...sae.refused.map(({ name, path, message }) => ({
        name,
        path,
        on: false,
        l0: 0,
        gain: NaN,
        problem: message,
      })),
    ],
    compared: comparing ? analysis.errorChange(kept) : null,
    crossEntropy: metrics.crossEntropy,
    pinned: pinned ?? null,
    query,
    rows,
    matching,
    partial: stage.kind !== 'done',
  };
}
