import type { Hook } from '../contracts/hooks.ts';

/** The shape of a decoder-only transformer, whatever file it came from. */
export interface ModelConfig {
  /** 'lime': a Llama whose layers route keys and values of earlier layers to their heads. */
  readonly architecture: 'llama' | 'lime';
  readonly name: string;
  readonly layers: number; // L
  readonly width: number; // D
  readonly feedForward: number;
  readonly heads: number; // H
  readonly keyValueHeads: number;
  readonly headWidth: number;
  readonly vocabulary: number; // V
  readonly contextLength: number;
  readonly ropeTheta: number;
  readonly normEpsilon: number;
  readonly tiedEmbedding: boolean;
}

/** What one graph computes: from the token ids, or from a residual hook whose activation is fed in. */
export interface GraphRequest {
  /** Start here with a replaced activation (the splice input) in place of the token ids. */
  readonly from?: Hook;
  /** Activations to return; the graph ends at the deepest unless `head` asks for more. */
  readonly hooks: readonly Hook[];
  /** 'logits': (T, V). 'loss': surprisal of given labels and the top predictions, without returning the logits. */
  readonly head: 'none' | 'logits' | 'loss';
  /** Whether keys and values of earlier tokens come in and those of all tokens go out. */
  readonly cache: boolean;
  /** Weights that come in under their names with each run, in place of those of the files: what is being trained. */
  readonly fed?: ReadonlySet<string>;
  /** Of a LIMe model: what its heads take from each layer's buffer (routeNorms.ts). */
  readonly routes?: RouteRequest;
}

/** How much of each buffer the heads of some layers take; the graph runs to the attention of the deepest. */
export interface RouteRequest {
  /** Any but the first, which has no router. */
  readonly layers: readonly number[];
  /** The same with other routers in place of these layers' own, (KV, (layer + 1) KV) each, on the same buffers and attention. */
  readonly instead?: ReadonlyMap<number, Float32Array>;
}

/** UTF-16 range of one token in the text it came from. */
export interface TokenSpans {
  readonly ids: Uint32Array; // (T)
  readonly starts: Uint32Array; // (T)
  readonly ends: Uint32Array; // (T)
}

/** Text to tokens and back. */
export interface Tokenizer {
  readonly vocabulary: number;
  /** Token that separates documents in training text (SmolLM2: <|endoftext|>). */
  readonly separator: number;
  /** Token with which the model expects every window to begin (Llama, Gemma); undefined where it expects none. */
  readonly bos: number | undefined;
  encode(text: string): TokenSpans;
  /** The text of one token, for people: bytes that are no character of their own appear as \xNN. */
  tokenText(id: number): string;
  decode(ids: ArrayLike<number>): string;
}
