import * as vscode from 'vscode';
import { DocumentAnalysis } from '../../analysis/documentAnalysis.ts';
import { analysisRegion, looksBinary, type TextRange } from '../../common/analysisRegion.ts';
import { Failure } from '../../common/failure.ts';
import { featureCount } from '../../common/featureSources.ts';
import type { AnalysisPart } from '../../contracts/engine.ts';
import { visibleOffsets } from './activeDocument.ts';
import { selectionKey, type Engine, type LoadedEngine } from '../engine/engine.ts';
import { setting } from '../settings.ts';

/** What the analysis of one document is at. */
export type AnalysisStage =
  | { readonly kind: 'running'; readonly fraction: number }
  | { readonly kind: 'done' }
  /** The engine stopped meanwhile: to be run again when it is back. */
  | { readonly kind: 'interrupted' }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** One document that the user has had analysed: runs the engine on it and keeps what it said. */
export class AnalyzedDocument implements vscode.Disposable {
  readonly document: vscode.TextDocument;
  private readonly engine: Engine;
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChange = this.changed.event;
  private held: { readonly analysis: DocumentAnalysis; readonly of: string } | undefined;
  private at: AnalysisStage = { kind: 'running', fraction: 0 };
  private analyzedRegion: TextRange = { start: 0, end: 0 };
  private run = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private lineEnds: vscode.EndOfLine;

  constructor(document: vscode.TextDocument, engine: Engine) {
    this.document = document;
    this.lineEnds = document.eol;
    this.engine = engine;
  }

  /** What is known so far; undefined until the first part has arrived. */
  get analysis(): DocumentAnalysis | undefined {
    return this.held && this.held.analysis.tokenCount > 0 ? this.held.analysis : undefined;
  }

  get stage(): AnalysisStage {
    return this.at;
  }

  /** The part of a long document that was analysed. */
  get region(): TextRange {
    return this.analyzedRegion;
  }

  /** Analyses the text as it is now; an analysis that still runs is cancelled. Never rejects: `stage` tells. */
  async analyze(): Promise<void> {
    this.cancel();
    const run = (this.run = new AbortController());
    this.enter({ kind: 'running', fraction: 0 });
    try {
      checkText(this.document);
      const loaded = await this.engine.ready();
      if (!run.signal.aborted) await this.analyzeWith(loaded, run.signal);
      if (!run.signal.aborted) this.enter({ kind: 'done' });
    } catch (error) {
      if (run.signal.aborted) return;
      const failure = Failure.from(error);
      // Not cancelled here: the engine let go of it, for another model, SAE or process.
      const isCut = failure.code === 'stopped' || failure.code === 'cancelled';
      this.enter(isCut ? { kind: 'interrupted' } : { kind: 'failed', failure });
    }
  }

  /** Follows an edit at once, and has the text analysed again when the user pauses. */
  edited(changes: readonly vscode.TextDocumentContentChangeEvent[]): void {
    // Other line ends move every offset, and VS Code lists no change for them.
    const hasOtherLineEnds = this.lineEnds !== this.document.eol;
    if (changes.length === 0 && !hasOtherLineEnds) return;
    this.cancel();
    if (hasOtherLineEnds) this.forget();
    this.lineEnds = this.document.eol;
    this.held?.analysis.edit(
      changes.map(change => ({
        offset: change.rangeOffset,
        removed: change.rangeLength,
        inserted: change.text.length,
      })),
    );
    this.enter({ kind: 'running', fraction: 0 });
    this.timer = setTimeout(() => this.analyzeAgain(), setting('analysis.delay'));
  }

  /** Analyses without being asked to: does not wake an engine that has failed, but waits for it. */
  analyzeAgain(): void {
    if (this.engine.state.kind === 'failed') this.enter({ kind: 'interrupted' });
    else void this.analyze();
  }

  /** What was said no longer holds: another model or SAE was selected. */
  forget(): void {
    this.cancel();
    this.held = undefined;
  }

  dispose(): void {
    this.cancel();
    this.changed.dispose();
    const state = this.engine.state;
    if (state.kind !== 'ready') return;
    const documentId = this.document.uri.toString();
    // A courtesy: an engine that is gone has nothing to forget.
    state.engine.caller.call('forget', { documentId }).catch(() => undefined);
  }

  private async analyzeWith(loaded: LoadedEngine, signal: AbortSignal): Promise<void> {
    const whole = this.document.getText();
    const visible = visibleOffsets(this.document);
    const region = analysisRegion(whole, visible, setting('analysis.maxCharacters'));
    const inRegion = (offset: number): number =>
      Math.min(Math.max(offset, region.start), region.end) - region.start;
    const analysis = this.analysisBy(loaded);
    this.analyzedRegion = region;
    let covered = 0;
    analysis.begin();
    const onProgress = (part: AnalysisPart): void => {
      if (signal.aborted) return;
      analysis.apply(part, region.start);
      covered += (part.ends.at(-1) ?? 0) - (part.starts[0] ?? 0);
      this.enter({ kind: 'running', fraction: Math.min(1, covered / (region.end - region.start)) });
    };
    const request = {
      documentId: this.document.uri.toString(),
      text: whole.slice(region.start, region.end),
      visible: { start: inRegion(visible.start), end: inRegion(visible.end) },
      predictions: setting('hover.predictions'),
    };
    const summary = await loaded.caller.call('analyze', request, { signal, onProgress });
    if (!signal.aborted) analysis.finish(summary);
  }

  /** What is held already, if it is by the same model and SAE: it stays until the new analysis covers it. */
  private analysisBy(loaded: LoadedEngine): DocumentAnalysis {
    const of = selectionKey(loaded);
    if (this.held?.of !== of) {
      const features = featureCount(loaded.sae);
      this.held = { analysis: new DocumentAnalysis(features, loaded.sae.maxK), of };
    }
    return this.held.analysis;
  }

  private cancel(): void {
    clearTimeout(this.timer);
    this.run.abort();
  }

  private enter(stage: AnalysisStage): void {
    this.at = stage;
    this.changed.fire();
  }
}

function checkText(document: vscode.TextDocument): void {
  const name = vscode.workspace.asRelativePath(document.uri);
  const text = document.getText();
  if (text.length === 0) {
    throw new Failure('empty', `${name} is empty: there is no token to analyze.`);
  }
  if (looksBinary(text)) {
    throw new Failure('unsupported', `${name} looks like a binary file: Loupe analyzes text.`);
  }
}
