import * as vscode from 'vscode';
import { selectFeatures } from '../analysis/featureStatistics.ts';
import type { DocumentState, SidebarCommand, SidebarState } from '../contracts/panels.ts';
import type { ActiveDocument } from './activeDocument.ts';
import type { AnalyzedDocument } from './analyzedDocument.ts';
import type { Analyzer } from './analyzer.ts';
import type { Engine, EngineState, LoadedEngine } from './engine.ts';
import type { Session } from './session.ts';
import { setting } from './settings.ts';

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
  { k, pinned, query }: Session,
): DocumentState {
  if (!analysis) throw new Error(`${document.fileName} has not been analyzed`);
  const { tokens, excluded, l0ByK, evByK, crossEntropy } = analysis.metrics();
  const denseAbove = setting('features.denseAbove');
  const limits = { denseAbove, limit: rowLimit };
  const { rows, matching } = selectFeatures(analysis.statistics(k), labels, query, limits);
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
    ev: evByK[k - 1] ?? NaN,
    evByK: Float32Array.from(evByK),
    crossEntropy,
    pinned: pinned ?? null,
    query,
    rows,
    matching,
    partial: stage.kind !== 'done',
  };
}
