import type { Device } from '../contracts/engine.ts';
import type { Hook } from '../contracts/hooks.ts';

/** The shape of a decoder-only transformer, whatever file it came from. */
export interface ModelConfig {
  readonly architecture: ArchitectureName;
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
  /** Where its computation departs from a Llama's; absent: nowhere. */
  readonly departures?: Departures;
}

/** 'lime': a Llama whose layers route keys and values of earlier layers to their heads. */
export type ArchitectureName =
  | 'gpt2'
  | 'gpt_neox'
  | 'llama'
  | 'lime'
  | 'mistral'
  | 'qwen2'
  | 'qwen3'
  | 'gemma2'
  | 'gemma3'
  | 'phi3'
  | 'olmo2';

/**
 * How a decoder differs from a Llama. Biases, norms of queries and keys, and norms of what a layer's parts give are not
 * named here: they are where their weights are.
 */
export interface Departures {
  /** 'layer': the mean is taken away first. 'onePlus': the gain is one more than the weight. */
  readonly norm?: 'layer' | 'onePlus';
  /** The feed-forward part reads the state before the attention, as the attention does. */
  readonly parallel?: true;
  /** Positions are rows of a learned table, added to the embedding; nothing is rotated. */
  readonly learnedPositions?: true;
  /** Of queries and keys; the second is for layers with a window, where they have one of their own. */
  readonly rotations?: readonly [Rotation] | readonly [Rotation, Rotation];
  /** Layers whose tokens see only the last so many, themselves included. */
  readonly window?: { readonly tokens: number; readonly layers: readonly boolean[] };
  /** Of the products of queries and keys, in place of 1 / sqrt(headWidth). */
  readonly attentionScale?: number;
  /** GPT-2's scale_attn_by_inverse_layer_idx: the scale divided by the number of the layer, counted from 1. */
  readonly inverseLayerScale?: true;
  /** c in c tanh(x / c), of attention scores and of logits. */
  readonly attentionSoftcap?: number;
  readonly logitSoftcap?: number;
  readonly embeddingScale?: number;
  readonly activation?: 'gelu' | 'geluTanh' | 'relu';
  readonly layout?: WeightLayout;
}

/** How the files hold the layers' matrices, which are mapped as they lie. */
export interface WeightLayout {
  /** (inputs, outputs) in place of (outputs, inputs): GPT-2's Conv1D. */
  readonly transposed?: true;
  /** Queries, keys and values in one matrix: one after the other, or by head. */
  readonly packed?: 'parts' | 'heads';
}

/** How pairs of values of a query or key turn with its position; values beyond `width` do not. */
export interface Rotation {
  /** Values of a head that are rotated, the first ones: pairs (i, i + width / 2). */
  readonly width: number;
  /** Radians per position, (width / 2). */
  readonly frequencies: readonly number[];
  /** A factor of cosines and sines. */
  readonly scale: number;
}

/** What one graph computes: from the token ids, or from a residual hook whose activation is fed in. */
export interface GraphRequest {
  /** Start here with a replaced activation (the splice input) in place of the token ids. */
  readonly from?: Hook;
  /** An activation that comes in with the run in place of what the graph computes for it: any but residual states. */
  readonly replaced?: Hook;
  /** Activations to return; the graph ends at the deepest unless `head` asks for more. */
  readonly hooks: readonly Hook[];
  /** 'logits': (T, V). 'loss': surprisal of given labels and the top predictions, without returning the logits. */
  readonly head: 'none' | 'logits' | 'loss';
  /** How many of the likeliest tokens 'loss' gives; each run says it, unless given. */
  readonly predictions?: number;
  /** Whether keys and values of earlier tokens come in and those of all tokens go out. */
  readonly cache: boolean;
  /** What it is to run on; the CPU unless given. */
  readonly device?: Device;
  /** Whether products with matrices of weights are computed in float16; all else is float32. */
  readonly float16?: boolean;
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
  /** The sha256 of all that decides a text's ids (fingerprint.ts); absent without a tokenizer. */
  readonly fingerprint?: string;
  encode(text: string): TokenSpans;
  /** The text of one token, for people: bytes that are no character of their own appear as \xNN. */
  tokenText(id: number): string;
  decode(ids: ArrayLike<number>): string;
}
