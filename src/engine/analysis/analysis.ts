import { throwIfCancelled } from '../../common/cancelled.ts';
import { Failure } from '../../common/failure.ts';
import type { AnalysisPart, AnalysisSummary, AnalyzeRequest } from '../../contracts/engine.ts';
import type { Hook } from '../../contracts/hooks.ts';
import type { ModelConfig } from '../../models/model.ts';
import { hooksOf, readingOf } from '../../saes/target.ts';
import { type Activations, dispose } from '../sessions/activations.ts';
import { AnalyzedDocument } from './analyzedDocument.ts';
import { cellsOf, type BlockResult } from './cells.ts';
import type { KeyValueCache } from '../model/keyValueCache.ts';
import type { ModelRunner } from '../model/modelRunner.ts';
import { PrefixCache } from '../model/prefixCache.ts';
import { pause } from '../pause.ts';
import type { AnalysisSae } from '../saes/saeReading.ts';
import { despiteLosses } from '../sessions/session.ts';
import { blockEnd, visibleFirst, windowShape, windowsOf, type Window } from './windows.ts';

/** What the analysis needs of a model. */
export interface AnalysisModel extends Pick<ModelRunner, 'tokenizer' | 'run'> {
  readonly config: Pick<ModelConfig, 'contextLength'>;
}

export interface AnalysisOptions {
  /** Tokens per run: a cancel is seen between two runs. */
  readonly blockLength?: number;
  readonly windowLength?: number;
  readonly overlap?: number;
  /** Most bytes of keys and values kept for re-analysis. */
  readonly keepBytes?: number;
}

export interface AnalysisContext {
  readonly signal: AbortSignal;
  report(part: AnalysisPart): void;
}

/** UTF-16 units of the longest text that is analysed. */
export const longestText = 2 ** 20;

/** Analyses documents with one model and one SAE, and keeps what the next analysis of the same document can take over. */
export class Analysis {
  private readonly model: AnalysisModel;
  private readonly sae: AnalysisSae;
  private readonly options: AnalysisOptions;
  private readonly prefixes: PrefixCache;
  private readonly documents = new Map<string, AnalyzedDocument>();
  /** The last analysis of each document: analyses of one document follow one another. */
  private readonly running = new Map<string, Promise<unknown>>();

  constructor(model: AnalysisModel, sae: AnalysisSae, options: AnalysisOptions = {}) {
    this.model = model;
    this.sae = sae;
    this.options = options;
    this.prefixes = new PrefixCache(options.keepBytes ?? 2 ** 29);
  }

  async analyze(request: AnalyzeRequest, context: AnalysisContext): Promise<AnalysisSummary> {
    const before = this.running.get(request.documentId);
    const now = (before ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => this.analyzeNext(request, context));
    this.running.set(request.documentId, now);
    try {
      return await now;
    } finally {
      if (this.running.get(request.documentId) === now) this.running.delete(request.documentId);
    }
  }

  /** To be called before the model's sessions end, and after every analysis has. */
  dispose(): void {
    this.prefixes.clear();
  }

  forget(documentId: string): void {
    this.documents.delete(documentId);
    this.prefixes.forget(documentId);
  }

  private async analyzeNext(
    { documentId, text, visible, predictions }: AnalyzeRequest,
    context: AnalysisContext,
  ): Promise<AnalysisSummary> {
    const started = performance.now();
    throwIfCancelled(context.signal);
    requireAnalyzable(text);
    const { contextLength } = this.model.config;
    const shape = windowShape(
      contextLength - this.lead.length,
      this.options.windowLength,
      this.options.overlap,
    );
    const document = this.documentFor(documentId, Math.max(1, predictions));
    const { common } = document.update(this.model.tokenizer.encode(text));
    for (const window of this.prefixes.windowsOf(documentId)) {
      const start = window * (shape.length - shape.overlap);
      const valid = common - start;
      this.prefixes.truncate(documentId, window, valid > 0 ? valid + this.lead.length : 0);
    }
    const reused = document.cells;
    for (const cell of reused) context.report(cell);
    const windows = visibleFirst(
      windowsOf(document.tokenCount, shape),
      document.tokenAt(visible.start),
    );
    let computed = 0;
    for (const window of windows) {
      computed += await this.runWindow(documentId, document, window, context);
      // The window that the user sees is the last to lose its keys and values.
      if (windows[0]) this.prefixes.get(documentId, windows[0].index);
    }
    return {
      tokens: document.tokenCount,
      reused: reused.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0),
      computed,
      milliseconds: performance.now() - started,
    };
  }

  /** What comes before the tokens of every window: BOS where the model expects it. */
  private get lead(): readonly number[] {
    const { bos } = this.model.tokenizer;
    return bos === undefined ? [] : [bos];
  }

  /** What is kept of the document; nothing where it was asked with another number of predictions. */
  private documentFor(documentId: string, predictions: number): AnalyzedDocument {
    const known = this.documents.get(documentId);
    if (known?.predictions === predictions) return known;
    const document = new AnalyzedDocument(predictions);
    this.documents.set(documentId, document);
    return document;
  }

  /** Runs what is missing of the window's own tokens; the number of tokens run. */
  private runWindow(...of: WindowArguments): Promise<number> {
    const withoutPrefixes = (): boolean => {
      this.prefixes.clear();
      return true;
    };
    return despiteLosses(() => this.runBlocks(...of), withoutPrefixes);
  }

  /** Block by block. */
  private async runBlocks(
    ...[documentId, document, window, context]: WindowArguments
  ): Promise<number> {
    const firstMissing = document.firstMissing(window);
    if (firstMissing === undefined) return 0;
    // The token before the first missing one is run again: its next-token distribution gives the missing surprisal.
    const known = this.prefixes.get(documentId, window.index);
    const lead = this.lead.length;
    const valid = Math.max(0, (known?.valid ?? 0) - lead);
    const usable = Math.min(valid, Math.max(0, firstMissing - 1 - window.start));
    let past = usable > 0 ? known?.kept.prefix(usable + lead).hold() : undefined;
    const from = window.start + usable;
    let carried = NaN;
    try {
      for (let start = from; start < window.end;) {
        await pause(context.signal);
        const end = blockEnd(start, this.options.blockLength ?? 256, window);
        const first = Math.max(start, firstMissing);
        const asked = { ...{ start, end, past, first, carried }, signal: context.signal };
        const { block, cells } = await this.readBlock(document, asked);
        past?.letGo();
        past = block.cache;
        const isWanted = this.documents.get(documentId) === document;
        if (past && isWanted) this.prefixes.put(documentId, window.index, past);
        for (const cell of cells) {
          document.add(cell);
          context.report(cell);
        }
        carried = block.surprisal.at(-1) ?? NaN;
        start = end;
      }
    } finally {
      past?.letGo();
    }
    return window.end - from;
  }

  /** Runs a block, and reads its tokens from `first` on. */
  private async readBlock(document: AnalyzedDocument, request: BlockRequest) {
    const { start, end, first, signal } = request;
    const { x, target, lead, ...block } = await this.runBlock(document, request);
    try {
      throwIfCancelled(signal);
      if (first >= end) return { block, cells: [] };
      const sae = await this.sae.read({
        ...{ x, target },
        from: lead + first - start,
        startsWindow: first === 0 && this.lead.length === 0,
      });
      const cells = cellsOf({
        ...{ block, first, sae, carried: block.led ?? request.carried },
        tokens: document.tokens,
        predictions: document.predictions,
        tokenText: id => this.model.tokenizer.tokenText(id),
      });
      return { block, cells };
    } catch (error) {
      block.cache?.letGo();
      throw error;
    } finally {
      dispose([x, target]);
    }
  }

  private async runBlock(
    document: AnalyzedDocument,
    { start, end, past, signal }: BlockRequest,
  ): Promise<RunBlock> {
    const { ids } = document.tokens;
    const lead = past ? [] : this.lead;
    const rows = lead.length;
    const tokenIds = Uint32Array.of(...lead, ...ids.subarray(start, end));
    const labels = new Uint32Array(tokenIds.length); // (rows + T), the token after each
    labels.set(ids.subarray(start + 1 - rows, end + 1));
    const run = await this.model.run({
      tokenIds,
      ...(past && { past }),
      hooks: hooksOf(this.sae.dictionary),
      head: 'loss',
      labels,
      predictions: document.predictions,
      keep: true,
      leave: this.sae.readsOnDevice === true,
      signal,
    });
    const { surprisal, predictedIds, probabilities, cache } = run;
    if (!surprisal || !predictedIds || !probabilities) {
      dispose(run.left?.values() ?? []);
      cache?.letGo();
      throw new Failure('internal', `The model's run left out the loss.`);
    }
    const { predictions } = document;
    return {
      start,
      end,
      ...readingOf<Activations>(
        this.sae.dictionary,
        new Map<Hook, Activations>([...run.hooks, ...(run.left ?? [])]),
      ),
      lead: rows,
      surprisal: surprisal.subarray(rows),
      predictedIds: predictedIds.subarray(rows * predictions),
      probabilities: probabilities.subarray(rows * predictions),
      cache,
      led: rows > 0 ? surprisal[rows - 1] : undefined,
    };
  }
}

type WindowArguments = readonly [
  documentId: string,
  document: AnalyzedDocument,
  window: Window,
  context: AnalysisContext,
];

interface RunBlock extends BlockResult {
  /** What the SAE reads and reconstructs, with the rows before the block's own (lead + T, D), (lead + T, O). */
  readonly x: Activations;
  readonly target: Activations;
  readonly lead: number;
  readonly cache: KeyValueCache | undefined;
  /** -ln p of the block's first token after BOS, where the block is a window's first. */
  readonly led: number | undefined;
}

interface BlockRequest {
  readonly start: number;
  readonly end: number;
  readonly past: KeyValueCache | undefined;
  /** The first token that is to be described. */
  readonly first: number;
  /** -ln p of the block's first token, if the block does not say it itself. */
  readonly carried: number;
  readonly signal: AbortSignal;
}

/** Refuses a text that is too long. */
export function requireAnalyzable(text: string): void {
  if (text.length <= longestText) return;
  const [found, limit] = [text.length, longestText].map(count => count.toLocaleString('en'));
  throw new Failure(
    'too-large',
    `The text has ${found} characters; at most ${limit} are analyzed.`,
    {
      action: 'Split the file, or analyze a part of it.',
    },
  );
}
