import { Failure } from '../../common/failure.ts';
import type { ModelInfo, ModelRequest } from '../../contracts/engine.ts';
import type { Hook } from '../../contracts/hooks.ts';
import { hookNamed, hookWidth, isPattern, isResidual, spliceStart } from '../../models/hooks.ts';
import type { GraphRequest, ModelConfig, Tokenizer } from '../../models/model.ts';
import { keepsOutputs } from '../../onnx/devices.ts';
import { dispose, here, OnDevice } from '../sessions/activations.ts';
import { despiteLosses } from '../sessions/session.ts';
import type { DeviceInUse } from '../devices/deviceInUse.ts';
import { KeyValueCache } from './keyValueCache.ts';
import { bufferRows, type LayerBuffers } from './layerBuffers.ts';
import { isFloat16, loadModel, type LoadedModel, type LoadOptions } from './loadModel.ts';
import { ModelBody, type BodyResult } from './modelBody.ts';
import { ModelHead, type HeadResult } from './modelHead.ts';
import { joinedPatterns, refuseLargePattern } from './patterns.ts';
import { inPrecision } from './precision.ts';
import { Unembedding, type UnembeddedRow } from './unembedding.ts';
import { weightBytes } from './weightBytes.ts';

/** What to compute for a run of tokens: whole, or after a prefix whose keys and values are kept. */
export interface RunRequest {
  readonly tokenIds: Uint32Array; // (T)
  /** Fails with `LostWithDevice` where it went with the device that had it. */
  readonly past?: KeyValueCache;
  readonly hooks: readonly Hook[];
  readonly head: GraphRequest['head'];
  /** The token that follows each token (T); surprisal is returned where they are given. */
  readonly labels?: Uint32Array;
  /** Likeliest next tokens per token (P); at least 1. */
  readonly predictions?: number;
  /** Whether to return the keys and values of all layers that ran, to be let go of by whoever asked. */
  readonly keep?: boolean;
  /** Whether to return, of a LIMe model, what a splice needs of the layers before it. */
  readonly keepBuffers?: boolean;
  /** Whether the hooks' rows may stay on the device: in `left`, to be disposed of by whoever asked. */
  readonly leave?: boolean;
  readonly signal?: AbortSignal;
}

/** The rest of the model from a replaced activation, for a whole window. */
export interface SpliceRequest {
  readonly hook: Hook;
  readonly activations: Float32Array; // (T, hookWidth)
  /** Where the hook is no state of the residual stream: the state at its `spliceStart`, of the same tokens (T, D). */
  readonly residual?: Float32Array | undefined;
  /** Those of a run of the same tokens to this hook or further; a LIMe model needs them, others do not. */
  readonly buffers?: LayerBuffers | undefined;
  readonly hooks?: readonly Hook[];
  readonly head: GraphRequest['head'];
  readonly labels?: Uint32Array;
  readonly predictions?: number;
  readonly signal?: AbortSignal;
}

export interface RunResult extends HeadResult {
  /** (T, hookWidth) each; patterns (H, T, S), S the number of tokens with the past's. */
  readonly hooks: ReadonlyMap<Hook, Float32Array>;
  /** The hooks that stayed on the device, which `hooks` lacks. */
  readonly left?: ReadonlyMap<Hook, OnDevice>;
  readonly cache?: KeyValueCache;
  /** Of the layers that ran, and those that were given; none for models that do not route. */
  readonly buffers?: LayerBuffers;
}

/** Tokens per pass: longer runs go in stretches, each after the last one's keys and values, to bound their memory. */
const stretch = 512;

/** A loaded model: runs of token ids, and of the layers behind a replaced state of the residual stream. */
export class ModelRunner {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  private readonly model: LoadedModel;
  private readonly body: ModelBody;
  private readonly head: ModelHead;
  private unembedding: Promise<Unembedding> | undefined;
  /** Ends when the run before the next one does: runs block the thread, and may not lose their sessions midway. */
  private turn: Promise<unknown> = Promise.resolve();
  private disposed = false;

  private constructor(model: LoadedModel) {
    this.model = model;
    this.config = model.config;
    this.tokenizer = model.tokenizer;
    this.body = new ModelBody(model);
    this.head = new ModelHead(model);
  }

  static async open(request: ModelRequest, options: LoadOptions = {}): Promise<ModelRunner> {
    const model = await loadModel(request, options);
    return new ModelRunner(await inPrecision(model, request.precision ?? 'float32', options));
  }

  /** With the device that it runs on now, and the precision there. */
  get info(): ModelInfo {
    const { info, on, float16 } = this.model;
    const precision = isFloat16(this.model, on.device) ? float16 : undefined;
    return { ...info, ...on.told, ...(precision !== undefined && { precision }) };
  }

  /** Of its weights, as sessions hold them on the device that it runs on now. */
  get weightBytes(): number {
    return weightBytes(this.model);
  }

  /** What runs it, and the SAEs that belong to it. */
  get on(): DeviceInUse {
    return this.model.on;
  }

  async run(request: RunRequest): Promise<RunResult> {
    const { tokenIds, past } = request;
    this.refuseLength(tokenIds.length, past?.length ?? 0);
    this.refuseTokens(tokenIds);
    return this.inTurn({ ...request, start: undefined, input: tokenIds });
  }

  /** Runs the rest of the model from a replaced activation; the first token of the window is position 0. */
  async splice(request: SpliceRequest): Promise<RunResult> {
    const { hook, hooks = [], activations, residual } = request;
    hookNamed(hook, this.config.layers);
    if (isPattern(hook)) throw new Failure('usage', `${hook} cannot be replaced.`);
    const tokens = this.rowsOf(activations, hookWidth(hook, this.config), hook);
    this.refuseLength(tokens, 0);
    if (isResidual(hook))
      return this.inTurn({ ...request, hooks, start: hook, input: activations });
    const start = spliceStart(hook, this.config);
    if (!residual || this.rowsOf(residual, this.config.width, start) !== tokens) {
      throw new Failure(
        'usage',
        `To replace ${hook}, a run needs the state of the same tokens at ${start}.`,
      );
    }
    const replaced = { hook, values: activations };
    return this.inTurn({ ...request, hooks, start, input: residual, replaced });
  }

  private rowsOf(values: Float32Array, width: number, hook: Hook): number {
    const rows = values.length / width;
    if (Number.isInteger(rows)) return rows;
    throw new Failure(
      'mismatch',
      `The replaced activation holds ${values.length} values: expected rows of ${width}, the width of ${hook}.`,
    );
  }

  /** The tokens whose logits each row (N, D) raises and lowers most, by the unembedding with the final norm's gain. */
  async unembed(rows: Float32Array, count: number): Promise<readonly UnembeddedRow[]> {
    this.refuseDisposed();
    this.unembedding ??= Unembedding.open(this.model);
    this.unembedding.catch(() => (this.unembedding = undefined));
    return (await this.unembedding).top(rows, count);
  }

  /** Ends with the run in progress; later ones, which would open sessions again, are refused. */
  async dispose(): Promise<void> {
    this.disposed = true;
    await this.turn;
    await this.body.dispose();
    await this.head.dispose();
    await (await this.unembedding?.catch(() => undefined))?.dispose();
  }

  private refuseDisposed(): void {
    if (this.disposed) throw new Failure('stopped', 'The model was unloaded while it was in use.');
  }

  private inTurn(pass: Pass): Promise<RunResult> {
    this.refuseDisposed();
    const rows = pass.input.length / (pass.start === undefined ? 1 : this.config.width);
    for (const hook of pass.hooks) {
      hookNamed(hook, this.config.layers);
      if (isPattern(hook))
        refuseLargePattern(this.config.heads, rows, rows + (pass.past?.length ?? 0));
    }
    const result = this.turn.then(() => this.through(pass));
    this.turn = result.catch(() => undefined);
    return result;
  }

  private async through(pass: Pass): Promise<RunResult> {
    const { hooks } = pass;
    const { residual, cache, buffers, left, ...body } = await despiteLosses(
      () => this.inStretches(pass),
      () => pass.past?.isOnDevice !== true,
    );
    const heads = await this.headOf(residual, pass).catch((error: unknown) => {
      dispose(left.values());
      cache.letGo();
      throw error;
    });
    if (!pass.keep) cache.letGo();
    const here = hooks.filter(hook => !left.has(hook));
    const asked = new Map(here.map(hook => [hook, body.hooks.get(hook) ?? missing(hook)]));
    return {
      hooks: asked,
      ...(left.size > 0 && { left }),
      ...heads,
      ...(pass.keep && { cache }),
      ...(pass.keepBuffers && { buffers }),
    };
  }

  private async headOf(residual: Float32Array, { head, ...pass }: Pass): Promise<HeadResult> {
    return head === 'none' ? {} : this.head.run(residual, { ...pass, head });
  }

  private async inStretches(pass: Pass): Promise<Stretches> {
    const rowLength = pass.input instanceof Uint32Array ? 1 : this.config.width;
    const tokens = pass.input.length / rowLength;
    const results: BodyResult[] = [];
    let cache = pass.past;
    try {
      for (let from = 0; from < tokens; from += stretch) {
        const to = Math.min(from + stretch, tokens);
        const result = await this.body.run({
          start: pass.start,
          input: pass.input.subarray(from * rowLength, to * rowLength),
          past: cache,
          hooks: pass.hooks,
          replaced: pass.replaced && {
            hook: pass.replaced.hook,
            values: pass.replaced.values.subarray(
              (from * pass.replaced.values.length) / tokens,
              (to * pass.replaced.values.length) / tokens,
            ),
          },
          toEnd: pass.head !== 'none',
          keep: pass.keep === true || to < tokens,
          buffers: bufferRows(pass.buffers ?? new Map(), tokens, [from, to]),
          keepBuffers: pass.keepBuffers === true,
          leave: pass.leave === true && tokens <= stretch && keepsOutputs(this.model.on.device),
          signal: pass.signal,
        });
        if (cache !== pass.past) cache?.letGo();
        cache = new KeyValueCache((pass.past?.length ?? 0) + to, result.cache);
        results.push(result);
      }
      return this.joinedStretches(pass, results, cache);
    } catch (error) {
      if (cache !== pass.past) cache?.letGo();
      for (const { hooks } of results) dispose(hooks.values());
      throw error;
    }
  }

  private joinedStretches(
    pass: Pass,
    results: readonly BodyResult[],
    cache: KeyValueCache | undefined,
  ): Stretches {
    const left = new Map(
      [...(results[0]?.hooks ?? [])].filter(
        (entry): entry is [Hook, OnDevice] => entry[1] instanceof OnDevice,
      ),
    );
    const hooks = new Map(
      pass.hooks
        .filter(hook => !left.has(hook))
        .map(hook => {
          const parts = results.map(result => here(result.hooks.get(hook)));
          return [
            hook,
            isPattern(hook)
              ? joinedPatterns(parts, this.config.heads, pass.past?.length)
              : joined(parts),
          ];
        }),
    );
    const residual = joined(results.map(result => result.residual));
    const layers = pass.keepBuffers ? [...(results[0]?.buffers.keys() ?? [])] : [];
    const buffers = new Map(
      layers.map(layer => [layer, joined(results.map(result => result.buffers.get(layer)))]),
    );
    return { hooks, left, residual, buffers, cache: cache ?? new KeyValueCache(0, new Map()) };
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

interface Pass extends Omit<RunRequest, 'tokenIds'> {
  /** Undefined: the input is token ids. */
  readonly start: Hook | undefined;
  readonly input: Uint32Array | Float32Array; // (T), or (T, D)
  readonly replaced?: { readonly hook: Hook; readonly values: Float32Array };
  readonly buffers?: LayerBuffers | undefined;
}

interface Stretches {
  readonly hooks: ReadonlyMap<Hook, Float32Array>; // (T, hookWidth) each
  readonly left: ReadonlyMap<Hook, OnDevice>;
  readonly residual: Float32Array; // (T, D)
  readonly buffers: LayerBuffers;
  readonly cache: KeyValueCache;
}

/** Rows of consecutive stretches as one array; a single stretch is not copied. */
function joined(parts: readonly (Float32Array | undefined)[]): Float32Array {
  const [only, ...more] = parts;
  if (only && more.length === 0) return only;
  const all = new Float32Array(parts.reduce((length, part) => length + (part?.length ?? 0), 0));
  let at = 0;
  for (const part of parts) {
    if (!part) continue;
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function missing(hook: Hook): never {
  throw new Failure('internal', `The run did not reach ${hook}.`);
}
