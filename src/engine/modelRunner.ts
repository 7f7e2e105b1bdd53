import { setImmediate } from 'node:timers/promises';
import { Failure } from '../common/failure.ts';
import type { LoadProgress, ModelInfo, ModelRequest } from '../contracts/engine.ts';
import type { Hook } from '../contracts/hooks.ts';
import { hookAt, hookNamed, residualPoint, type ResidualPoint } from '../models/hooks.ts';
import type { GraphRequest, ModelConfig, Tokenizer } from '../models/model.ts';
import { KeyValueCache } from './keyValueCache.ts';
import { loadModel, type LoadedModel } from './loadModel.ts';
import { ModelHead, type HeadResult } from './modelHead.ts';
import { ModelSegment } from './modelSegment.ts';
import { Unembedding, type UnembeddedRow } from './unembedding.ts';

/** What to compute for a run of tokens: whole, or after a prefix whose keys and values are kept. */
export interface RunRequest {
  readonly tokenIds: Uint32Array; // (T)
  readonly past?: KeyValueCache;
  readonly hooks: readonly Hook[];
  readonly head: GraphRequest['head'];
  /** The token that follows each token (T); surprisal is returned where they are given. */
  readonly labels?: Uint32Array;
  /** Likeliest next tokens per token (P); at least 1. */
  readonly predictions?: number;
  /** Whether to return the keys and values of all layers that ran. */
  readonly keep?: boolean;
  readonly signal?: AbortSignal;
}

/** The rest of the model from a replaced state of the residual stream, for a whole window. */
export interface SpliceRequest {
  readonly hook: Hook;
  readonly activations: Float32Array; // (T, D)
  readonly hooks?: readonly Hook[];
  readonly head: GraphRequest['head'];
  readonly labels?: Uint32Array;
  readonly predictions?: number;
  readonly signal?: AbortSignal;
}

export interface RunResult extends HeadResult {
  readonly hooks: ReadonlyMap<Hook, Float32Array>; // (T, D) each
  readonly cache?: KeyValueCache;
}

/** Sessions kept; each holds a copy of its weights in the layout that the kernels like best. */
const keptSegments = 4;

/**
 * A loaded model. A run is cut at the deepest hook into segments that runs of other kinds share: with hooks at one
 * place, the part before it, the part behind it and the head serve plain runs and splices alike, so that no weight is
 * held twice and a splice of the clean activation repeats the clean run bit for bit.
 */
export class ModelRunner {
  readonly info: ModelInfo;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  private readonly model: LoadedModel;
  private readonly head: ModelHead;
  private readonly segments = new Map<string, Promise<ModelSegment>>();
  private unembedding: Promise<Unembedding> | undefined;
  /** Where runs were last cut: runs without hooks are cut there too, and so need no sessions of their own. */
  private lastCut: ResidualPoint | undefined;
  /** Ends when the run before the next one does: runs block the thread, and may not lose their sessions midway. */
  private turn: Promise<unknown> = Promise.resolve();

  private constructor(model: LoadedModel) {
    this.model = model;
    this.info = model.info;
    this.config = model.config;
    this.tokenizer = model.tokenizer;
    this.head = new ModelHead(model);
  }

  static async open(
    request: ModelRequest,
    options: { signal?: AbortSignal; report?(progress: LoadProgress): void } = {},
  ): Promise<ModelRunner> {
    return new ModelRunner(await loadModel(request, options));
  }

  async run(request: RunRequest): Promise<RunResult> {
    const past = request.past?.length ?? 0;
    this.refuseLength(request.tokenIds.length, past);
    this.refuseTokens(request.tokenIds);
    return this.inTurn({ ...request, start: undefined, input: request.tokenIds });
  }

  /** Runs the rest of the model from a replaced activation; the first token of the window is position 0. */
  async splice(request: SpliceRequest): Promise<RunResult> {
    const { hook, activations } = request;
    const { width } = this.config;
    if (activations.length % width !== 0) {
      throw new Failure(
        'mismatch',
        `The replaced activation holds ${activations.length} values: expected rows of ${width}, the model's width.`,
      );
    }
    this.refuseLength(activations.length / width, 0);
    const hooks = request.hooks ?? [];
    return this.inTurn({ ...request, hooks, start: hook, input: activations });
  }

  /** The tokens whose logits each row (N, D) raises and lowers most, by the unembedding with the final norm's gain. */
  async unembed(rows: Float32Array, count: number): Promise<readonly UnembeddedRow[]> {
    this.unembedding ??= Unembedding.open(this.model);
    return (await this.unembedding).top(rows, count);
  }

  async dispose(): Promise<void> {
    await this.turn;
    const segments = await Promise.allSettled(this.segments.values());
    this.segments.clear();
    for (const segment of segments)
      if (segment.status === 'fulfilled') await segment.value.dispose();
    await this.head.dispose();
    await (await this.unembedding)?.dispose();
  }

  private inTurn(request: PassRequest): Promise<RunResult> {
    const result = this.turn.then(() => this.through(request));
    this.turn = result.catch(() => undefined);
    return result;
  }

  private async through(request: PassRequest): Promise<RunResult> {
    const hooks = new Map<Hook, Float32Array>();
    const cache: KeyValueCache['tensors'][] = [];
    let input = request.input;
    for (const part of this.parts(request)) {
      await pause(request.signal);
      const segment = await this.segment(part);
      const result = await segment.run({
        input,
        past: request.past,
        keep: request.keep === true,
      });
      for (const [hook, values] of result.hooks) hooks.set(hook, values);
      cache.push(result.cache);
      input = result.residual;
    }
    return this.finish(request, input, hooks, cache);
  }

  private async finish(
    request: PassRequest,
    residual: Uint32Array | Float32Array,
    reached: ReadonlyMap<Hook, Float32Array>,
    cache: readonly KeyValueCache['tensors'][],
  ): Promise<RunResult> {
    const hooks = new Map(request.hooks.map(hook => [hook, reached.get(hook) ?? missing(hook)]));
    const head =
      request.head === 'none' || !(residual instanceof Float32Array)
        ? {}
        : await this.head.run(residual, { ...request, head: request.head });
    if (!request.keep) return { hooks, ...head };
    const past = request.past?.length ?? 0;
    const tensors = new Map(cache.flatMap(part => [...part]));
    return { hooks, ...head, cache: new KeyValueCache(past + this.tokens(request), tensors) };
  }

  private tokens(request: PassRequest): number {
    return request.input instanceof Float32Array
      ? request.input.length / this.config.width
      : request.input.length;
  }

  /** The segments of a pass: to the deepest hook, and behind it where the head is wanted. */
  private parts(request: PassRequest): GraphRequest[] {
    for (const hook of request.hooks) hookNamed(hook, this.config.layers);
    const start = request.start === undefined ? -1 : residualPoint(request.start);
    const end = request.head === 'none' ? -1 : 2 * this.config.layers;
    if (request.hooks.length > 0) this.lastCut = Math.max(...request.hooks.map(residualPoint));
    else if (start >= 0) this.lastCut = start;
    const cut = this.lastCut ?? end;
    const parts: GraphRequest[] = [];
    if (request.hooks.length > 0 || (cut > start && cut < end)) {
      parts.push(segmentOf(request.start, new Set([...request.hooks, hookAt(cut)])));
    }
    const from = parts.length > 0 ? hookAt(cut) : request.start;
    if (end > Math.max(start, parts.length > 0 ? cut : -1)) {
      parts.push(segmentOf(from, new Set([hookAt(end)])));
    }
    return parts;
  }

  private segment(part: GraphRequest): Promise<ModelSegment> {
    const key = JSON.stringify([part.from && residualPoint(part.from), part.hooks]);
    const known = this.segments.get(key);
    // Most recently used last: the first is the one to let go.
    this.segments.delete(key);
    const segment = known ?? ModelSegment.open(this.model, part);
    this.segments.set(key, segment);
    segment.catch(() => this.segments.delete(key));
    for (const [oldest, unused] of this.segments) {
      if (this.segments.size <= keptSegments) break;
      this.segments.delete(oldest);
      void unused.then(segment => segment.dispose());
    }
    return segment;
  }

  private refuseLength(tokens: number, past: number): void {
    const { contextLength } = this.config;
    if (tokens === 0) throw new Failure('empty', 'There are no tokens to run.');
    if (past + tokens <= contextLength) return;
    throw new Failure(
      'too-large',
      `${past + tokens} tokens do not fit the model's context of ${contextLength}.`,
      { action: 'Run the text in windows.' },
    );
  }

  private refuseTokens(ids: Uint32Array): void {
    const { vocabulary } = this.config;
    const strange = ids.find(id => id >= vocabulary);
    if (strange === undefined) return;
    throw new Failure('mismatch', `Token ${strange} is not one of the model's ${vocabulary}.`);
  }
}

function segmentOf(from: Hook | undefined, hooks: ReadonlySet<Hook>): GraphRequest {
  return { ...(from && { from }), hooks: [...hooks].sort(), head: 'none', cache: true };
}

interface PassRequest {
  /** Undefined: the input is token ids. */
  readonly start: Hook | undefined;
  readonly input: Uint32Array | Float32Array;
  readonly hooks: readonly Hook[];
  readonly head: GraphRequest['head'];
  readonly labels?: Uint32Array;
  readonly predictions?: number;
  readonly past?: KeyValueCache;
  readonly keep?: boolean;
  readonly signal?: AbortSignal;
}

/** Lets messages in between two runs, which block the thread, so that a cancellation is seen. */
async function pause(signal: AbortSignal | undefined): Promise<void> {
  await setImmediate();
  if (signal?.aborted) throw new Failure('cancelled', 'The run was cancelled.');
}

function missing(hook: Hook): never {
  throw new Failure('internal', `The run did not reach ${hook}.`);
}
