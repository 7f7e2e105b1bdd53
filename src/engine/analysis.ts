import { Failure } from '../common/failure.ts';
import type { AnalysisPart, AnalysisSummary, AnalyzeRequest } from '../contracts/engine.ts';
import type { ModelConfig } from '../models/model.ts';
import { outputWidthOf, type Dictionary } from '../saes/dictionary.ts';
import { hooksOf, readingOf } from '../saes/target.ts';
import { AnalyzedDocument } from './analyzedDocument.ts';
import { cellsOf, type BlockResult, type SaeReading } from './cells.ts';
import type { KeyValueCache } from './keyValueCache.ts';
import type { ModelRunner } from './modelRunner.ts';
import { PrefixCache } from './prefixCache.ts';
import { blockEnd, visibleFirst, windowShape, windowsOf, type Window } from './windows.ts';

/** What the analysis needs of a model. */
export interface AnalysisModel extends Pick<ModelRunner, 'tokenizer' | 'run'> {
  readonly config: Pick<ModelConfig, 'contextLength'>;
}

/** What the analysis needs of an SAE. */
export interface AnalysisSae {
  readonly dictionary: Pick<
    Dictionary,
    'hook' | 'inputWidth' | 'output' | 'centred' | 'tokenPolicy'
  >;
  /** What it says of every token of `x` (t, D); `target` (t, O): what it reconstructs, x where it is no transcoder. */
  read(x: Float32Array, target: Float32Array): Promise<SaeReading>;
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

  forget(documentId: string): void {
    this.documents.delete(documentId);
    this.prefixes.forget(documentId);
  }

  private async analyzeNext(
    { documentId, text, visible, predictions }: AnalyzeRequest,
    context: AnalysisContext,
  ): Promise<AnalysisSummary> {
    const started = performance.now();
    context.signal.throwIfAborted();
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

  /** Runs what is missing of the window's own tokens, block by block; the number of tokens run. */
  private async runWindow(
    documentId: string,
    document: AnalyzedDocument,
    window: Window,
    context: AnalysisContext,
  ): Promise<number> {
    const firstMissing = document.firstMissing(window);
    if (firstMissing === undefined) return 0;
    // The token before the first missing one is run again: its next-token distribution gives the missing surprisal.
    const known = this.prefixes.get(documentId, window.index);
    const lead = this.lead.length;
    const valid = Math.max(0, (known?.valid ?? 0) - lead);
    const usable = Math.min(valid, Math.max(0, firstMissing - 1 - window.start));
    let past = usable > 0 ? known?.kept.prefix(usable + lead) : undefined;
    const from = window.start + usable;
    let carried = NaN;
    for (let start = from; start < window.end;) {
      await nextTurn();
      context.signal.throwIfAborted();
      const end = blockEnd(start, this.options.blockLength ?? 256, window);
      const block = await this.runBlock(document, { start, end, past, signal: context.signal });
      context.signal.throwIfAborted();
      const first = Math.max(start, firstMissing);
      if (block.led !== undefined) carried = block.led;
      if (first < end) {
        for (const cell of await this.describe(document, block, first, carried)) {
          document.add(cell);
          context.report(cell);
        }
      }
      carried = block.surprisal.at(-1) ?? NaN;
      past = block.cache;
      if (past) this.prefixes.put(documentId, window.index, past);
      start = end;
    }
    return window.end - from;
  }

  private async runBlock(
    document: AnalyzedDocument,
    { start, end, past, signal }: BlockRequest,
  ): Promise<RunBlock> {
    const { ids } = document.tokens;
    const { inputWidth } = this.sae.dictionary;
    const lead = past ? [] : this.lead;
    const rows = lead.length;
    const tokenIds = Uint32Array.of(...lead, ...ids.subarray(start, end));
    const labels = new Uint32Array(tokenIds.length); // (rows + T), the token after each
    labels.set(ids.subarray(start + 1 - rows, end + 1));
    const { hooks, surprisal, predictedIds, probabilities, cache } = await this.model.run({
      tokenIds,
      ...(past && { past }),
      hooks: hooksOf(this.sae.dictionary),
      head: 'loss',
      labels,
      predictions: document.predictions,
      keep: true,
      signal,
    });
    const reading = readingOf(this.sae.dictionary, hooks);
    if (!surprisal || !predictedIds || !probabilities) {
      throw new Failure('internal', `The model's run left out the loss.`);
    }
    const { predictions } = document;
    return {
      start,
      end,
      x: reading.x.subarray(rows * inputWidth),
      target: reading.target.subarray(rows * outputWidthOf(this.sae.dictionary)),
      surprisal: surprisal.subarray(rows),
      predictedIds: predictedIds.subarray(rows * predictions),
      probabilities: probabilities.subarray(rows * predictions),
      cache,
      led: rows > 0 ? surprisal[rows - 1] : undefined,
    };
  }

  private async describe(
    document: AnalyzedDocument,
    block: BlockResult,
    first: number,
    carried: number,
  ): Promise<AnalysisPart[]> {
    const { dictionary } = this.sae;
    const x = block.x.subarray((first - block.start) * dictionary.inputWidth); // (t, D)
    const target = block.target.subarray((first - block.start) * outputWidthOf(dictionary));
    return cellsOf({
      block,
      first,
      carried,
      tokens: document.tokens,
      sae: await this.sae.read(x, target),
      dictionary,
      predictions: document.predictions,
      tokenText: id => this.model.tokenizer.tokenText(id),
      hasLead: this.lead.length > 0,
    });
  }
}

interface RunBlock extends BlockResult {
  readonly cache: KeyValueCache | undefined;
  /** -ln p of the block's first token after BOS, where the block is a window's first. */
  readonly led: number | undefined;
}

interface BlockRequest {
  readonly start: number;
  readonly end: number;
  readonly past: KeyValueCache | undefined;
  readonly signal: AbortSignal;
}

/** Refuses a text that is too long. */
export function requireAnalyzable(text: string): void {
  if (text.length <= longestText) return;
  const [found, limit] = [text.length, longestText].map(count => count.toLocaleString('en'));
  throw new Failure(
    'too-large',
    `The text has ${found} characters; at most ${limit} are analysed.`,
    {
      action: 'Split the file, or analyse a part of it.',
    },
  );
}

/** Lets messages in (a cancel, a new request) before the next run blocks the thread. */
function nextTurn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}
