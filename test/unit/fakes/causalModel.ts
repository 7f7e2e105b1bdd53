import type { Hook } from '../../../src/contracts/hooks.ts';
import { here } from '../../../src/engine/sessions/activations.ts';
import type { AnalysisModel } from '../../../src/engine/analysis/analysis.ts';
import { cellStatistics } from '../../../src/engine/analysis/cellStatistics.ts';
import { float32Tensor, float32Values } from '../../../src/engine/sessions/tensors.ts';
import { KeyValueCache } from '../../../src/engine/model/keyValueCache.ts';
import type { Tokenizer } from '../../../src/models/model.ts';
import type { AnalysisSae, ReadRequest, SaeReading } from '../../../src/engine/saes/saeReading.ts';

/** What the model knows after reading these tokens from a window's start: any change of any of them changes it. */
export function stateAfter(ids: Uint32Array): number {
  let state = 1;
  for (const id of ids) state = (state * 31 + id) % 65521;
  return state;
}

/** -ln p(next | state) of this model. */
export function surprisalOf(state: number, next: number): number {
  return Math.fround(((state * 7 + next) % 1009) / 100);
}

/** The tokens themselves are what this model keeps. */
function cacheOf(ids: Uint32Array): KeyValueCache {
  return new KeyValueCache(
    ids.length,
    new Map([['ids', float32Tensor(Float32Array.from(ids), [1, 1, ids.length, 1])]]),
  );
}

function keptIds(cache: KeyValueCache | undefined): Uint32Array {
  if (!cache) return new Uint32Array();
  return Uint32Array.from(float32Values(cache.tensors.get('ids')).subarray(0, cache.length));
}

/** A stand-in for a language model whose every output is known exactly; one token per UTF-16 unit. */
export class CausalModel implements AnalysisModel {
  readonly config = { contextLength: 2048 };
  readonly runs: { past: number; tokens: number }[] = [];
  onRun: (runs: number) => unknown = () => undefined;
  readonly tokenizer: Tokenizer;

  constructor(bos?: number) {
    this.tokenizer = {
      vocabulary: 2 ** 16,
      separator: 0,
      bos,
      encode: text => ({
        ids: Uint32Array.from(text, character => character.charCodeAt(0)),
        starts: Uint32Array.from(text, (_, i) => i),
        ends: Uint32Array.from(text, (_, i) => i + 1),
      }),
      tokenText: id => `<${id}>`,
      decode: ids => String.fromCharCode(...Array.from(ids)),
    };
  }

  async run(request: Parameters<AnalysisModel['run']>[0]): ReturnType<AnalysisModel['run']> {
    await new Promise(resolve => setImmediate(resolve));
    const { tokenIds, labels = [], predictions = 1 } = request;
    const past = keptIds(request.past);
    const ids = Uint32Array.of(...past, ...tokenIds);
    const states = Array.from(tokenIds, (_, t) => stateAfter(ids.subarray(0, past.length + t + 1)));
    this.runs.push({ past: past.length, tokens: tokenIds.length });
    this.onRun(this.runs.length);
    const hooks = new Map<Hook, Float32Array>();
    for (const hook of request.hooks)
      hooks.set(hook, Float32Array.from(states.flatMap(s => [s, 1])));
    return {
      hooks, // (T, 2)
      surprisal: Float32Array.from(states, (state, t) => surprisalOf(state, labels[t] ?? 0)),
      predictedIds: Uint32Array.from(
        states.flatMap(s => Array.from({ length: predictions }, (_, i) => (s + i) % 97)),
      ),
      probabilities: new Float32Array(states.length * predictions).fill(0.5),
      cache: cacheOf(ids),
    };
  }
}

/** A stand-in for an SAE: one feature per token, numbered by the activation's first component. */
export class NearestSae implements AnalysisSae {
  readonly dictionary = {
    hook: 'blocks.1.hook_resid_post',
    inputWidth: 2,
    tokenPolicy: { excludeFirst: true, maxNorm: Infinity },
  } as const;

  read(request: ReadRequest): Promise<SaeReading> {
    const x = here(request.x).subarray(2 * request.from);
    const states = x.filter((_, i) => i % 2 === 0);
    const features = Uint32Array.from(states, state => state % 1000);
    const squaredError = new Float32Array(states.length);
    const domains: SaeReading['domains'] = [];
    return Promise.resolve({
      k: 1,
      features,
      activations: states,
      squaredError,
      domains,
      gram: squaredError.slice(0, 0),
      cells: cellStatistics(this.dictionary, x, x, request.startsWindow),
    });
  }
}
