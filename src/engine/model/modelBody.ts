import { Failure } from '../../common/failure.ts';
import type { Hook } from '../../contracts/hooks.ts';
import {
  cutPoint,
  hookAt,
  isPattern,
  residualPoint,
  type ResidualPoint,
} from '../../models/hooks.ts';
import type { GraphRequest } from '../../models/model.ts';
import { type Activations, dispose } from '../sessions/activations.ts';
import { type CachedTensors, type KeyValueCache, letGoOf } from './keyValueCache.ts';
import type { LayerBuffers } from './layerBuffers.ts';
import type { LoadedModel } from './loadModel.ts';
import { ModelSegment, type SegmentResult } from './modelSegment.ts';
import type { Tensor } from '../sessions/tensors.ts';
import { pause } from '../pause.ts';

/** One pass through a model's layers, without the head. */
export interface BodyPass {
  /** Undefined: the input is token ids. */
  readonly start: Hook | undefined;
  readonly input: Uint32Array | Float32Array; // (T), or (T, D)
  readonly past: KeyValueCache | undefined;
  readonly hooks: readonly Hook[];
  /** Whether to run to the last layer, beyond the deepest hook. */
  readonly toEnd: boolean;
  readonly keep: boolean;
  /** Of a hook that is no state of the residual stream, in place of what the model computes for it (T, hookWidth). */
  readonly replaced: { readonly hook: Hook; readonly values: Float32Array } | undefined;
  /** LIMe: of all layers before the start, where the pass does not begin with token ids. */
  readonly buffers: LayerBuffers;
  readonly keepBuffers: boolean;
  /** Whether the rows of the hooks stay on the device, if it can keep them. */
  readonly leave: boolean;
  readonly signal: AbortSignal | undefined;
}

export interface BodyResult {
  readonly hooks: ReadonlyMap<Hook, Activations>; // (T, hookWidth) each
  /** The state of the residual stream where the pass ended (T, D). */
  readonly residual: Float32Array;
  /** Keys and values of all tokens in the layers that ran; empty unless the pass keeps them. */
  readonly cache: CachedTensors;
  /** LIMe: of the layers that ran and those before; complete only if the pass keeps them. */
  readonly buffers: LayerBuffers;
}

/** Sessions kept; each holds a copy of its weights in the layout that the kernels like best. */
const keptSegments = 4;

/**
 * A model's layers. A pass is cut at the deepest hook into segments that passes of other kinds share: with hooks at
 * one place, the part before it and the part behind it serve plain runs and splices alike, so that no weight is held
 * twice and a splice of the clean activation repeats the clean run bit for bit.
 */
export class ModelBody {
  private readonly model: LoadedModel;
  /** Least recently used first. */
  private readonly segments = new Map<string, Promise<ModelSegment>>();
  /** Where the last pass was cut: passes without hooks are cut there too, and so need no sessions of their own. */
  private lastCut: ResidualPoint | undefined;

  constructor(model: LoadedModel) {
    this.model = model;
  }

  async run(pass: BodyPass): Promise<BodyResult> {
    const { past, keep, signal } = pass;
    const hooks = new Map<Hook, Activations>();
    const cache = new Map<string, Tensor>();
    // What LIMe's later segments read of the layers of earlier ones.
    const buffers = new Map(pass.buffers);
    let input: Uint32Array | Activations = pass.input;
    const parts = this.parts(pass);
    try {
      for (const [i, part] of parts.entries()) {
        await pause(signal);
        const isLast = i === parts.length - 1;
        const segment = await this.segment(part);
        // The last state is the head's, which reads it here.
        const leave = pass.leave ? part.hooks.filter(hook => !isPattern(hook)) : [];
        const result: SegmentResult = await segment.run({
          ...{ input, past, keep, buffers, replacement: part.replaced && pass.replaced?.values },
          keepBuffers: pass.keepBuffers || !isLast,
          leave: new Set(isLast ? leave.filter(hook => hook !== segment.end) : leave),
        });
        for (const [layer, values] of result.buffers) buffers.set(layer, values);
        for (const [hook, values] of result.hooks) hooks.set(hook, values);
        for (const [name, tensor] of result.cache) cache.set(name, tensor);
        input = result.residual;
      }
      if (input instanceof Float32Array) {
        const asked = new Map([...hooks].filter(([hook]) => pass.hooks.includes(hook)));
        dispose(notIn(hooks.values(), asked.values()));
        return { hooks: asked, residual: input, cache, buffers };
      }
      throw new Failure('usage', 'A run needs a hook or a head.');
    } catch (error) {
      dispose(hooks.values());
      letGoOf(cache.values());
      throw error;
    }
  }

  async dispose(): Promise<void> {
    const segments = await Promise.allSettled(this.segments.values());
    this.segments.clear();
    for (const segment of segments) {
      if (segment.status === 'fulfilled') await segment.value.dispose();
    }
  }

  /** The segments of a pass: to the deepest hook, and behind it where the end is wanted. */
  private parts(pass: BodyPass): GraphRequest[] {
    const start = pass.start === undefined ? -1 : residualPoint(pass.start);
    const end = pass.toEnd ? 2 * this.model.config.layers : -1;
    const replaced = pass.replaced?.hook;
    const reached = [...pass.hooks, ...(replaced ? [replaced] : [])];
    if (reached.length > 0) {
      this.lastCut = Math.max(...reached.map(hook => cutPoint(hook, this.model.config)));
    } else if (start >= 0) this.lastCut = start;
    const cut = this.lastCut ?? end;
    const parts: GraphRequest[] = [];
    if (reached.length > 0 || (cut > start && cut < end)) {
      parts.push(segmentOf(pass.start, [...pass.hooks, hookAt(cut)], replaced));
    }
    const done = parts.length > 0 ? cut : start;
    if (end > done) {
      parts.push(segmentOf(parts.length > 0 ? hookAt(cut) : pass.start, [hookAt(end)]));
    }
    return parts;
  }

  private segment(part: GraphRequest): Promise<ModelSegment> {
    const key = JSON.stringify([part.from && residualPoint(part.from), part.hooks, part.replaced]);
    const segment = this.segments.get(key) ?? ModelSegment.open(this.model, part);
    this.segments.delete(key);
    this.segments.set(key, segment);
    segment.catch(() => this.segments.delete(key));
    for (const [oldest, unused] of this.segments) {
      if (this.segments.size <= keptSegments) break;
      this.segments.delete(oldest);
      unused.then(segment => segment.dispose()).catch(() => undefined);
    }
    return segment;
  }
}

function notIn<T>(all: Iterable<T>, some: Iterable<T>): Set<T> {
  const rest = new Set(all);
  for (const one of some) rest.delete(one);
  return rest;
}

function segmentOf(from: Hook | undefined, hooks: readonly Hook[], replaced?: Hook): GraphRequest {
  const ends = { ...(from && { from }), ...(replaced && { replaced }) };
  return { ...ends, hooks: [...new Set(hooks)].sort(), head: 'none', cache: true };
}
