import type { Call } from './call.ts';
import type { CollapseRequest, CollapseResult } from './collapse.ts';
import type { LoadProgress, ModelRequest } from './engine.ts';

/** What the extension host may ask of the engine about which layers each head reads (LIMe, arXiv 2502.09245). */
export interface LayerMapContract {
  /** The maps of the routers alone; no layer is run. */
  layerMap: Call<ModelRequest, LayerMap, LoadProgress>;
  /** Runs the document through the routed model; what it finds is kept under the document's id until `forgetRoutes`. */
  documentRoutes: Call<DocumentRoutesRequest, DocumentRoutes, LoadProgress>;
  /** What one token's heads took from each layer; `token` counts those that were run, as in `DocumentRoutes`. */
  tokenRoutes: Call<{ readonly documentId: string; readonly token: number }, TokenRoutes>;
  /** How much one head takes from one buffer, on every token of the document. */
  routeTokens: Call<{ readonly documentId: string; readonly route: Route }, RouteTokens>;
  /** Lets go of a document's routes, and of the routed model with the last one's. */
  forgetRoutes: Call<{ readonly documentId: string }, null>;
  /** The tokens of a corpus on which one route matters most. */
  circuits: Call<CircuitsRequest, Circuits, LoadProgress>;
  /** Whether the layers tell tokens apart, of routed models and of ordinary ones. */
  collapse: Call<CollapseRequest, CollapseResult, LoadProgress>;
}

/**
 * Where the routers come from: trained with the model, fitted to a frozen one, or none, which is the identity: each
 * layer reads its own keys and values.
 */
export type RouterOrigin = 'trained' | 'fitted' | 'identity';

/** Layers and buffers are counted from 0; buffer 0 is the keys and values made from the embeddings. */
export interface LayerMap {
  readonly model: string;
  readonly origin: RouterOrigin;
  /** Of fitted routers: how they were fitted. */
  readonly fit: RouterFit | null;
  /** L */
  readonly layers: number;
  /** Key and value heads, KV: the heads that routers mix. */
  readonly heads: number;
  /** Heads of queries, H; consecutive H / KV of them read one key and value head. */
  readonly queryHeads: number;
  readonly routers: RouteMap;
  /** The same at initialisation: the identity for fitted routers, the expectation of the paper's for trained ones. */
  readonly initial: RouteMap;
}

/** Shares by layer and buffer: each row sums to 1, and is 0 behind its layer. */
export interface RouteMap {
  /** The paper's Fig. 5: (L, L). */
  readonly map: Float32Array;
  /** The paper's Fig. 9: (L, KV, L). */
  readonly perHead: Float32Array;
}

/** How much two layer maps of one model say the same: Pearson correlations of their shares by layer and buffer. */
export interface MapAgreement {
  /** Of all buffers up to each layer, the first layer left out: it has no choice. */
  readonly all: number;
  /** Of those before the layer alone: the layer's own is the largest anywhere, and would hide the rest. */
  readonly earlier: number;
}

/** How routers were fitted to a frozen model. */
export interface RouterFit {
  readonly name: string;
  readonly tokens: number;
  readonly steps: number;
  readonly seed: number;
  /** Mean cross-entropy in nats per token of held-out text, with identity routers and with these. */
  readonly heldOutTokens: number;
  readonly ceBefore: number;
  readonly ceAfter: number;
}

export interface DocumentRoutesRequest {
  readonly model: ModelRequest;
  readonly documentId: string;
  readonly text: string;
  /** UTF-16 offsets of what the user sees: where a document is too long, the tokens around it are run. */
  readonly visible: { readonly start: number; readonly end: number };
}

/** Routes by contribution, over the tokens that were run. T-indexed arrays have their number. */
export interface DocumentRoutes {
  /** UTF-16 offsets in the document (T). */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** Shares of the mean |R V|: what each buffer adds to the values that a head keeps of a token. */
  readonly contribution: RouteMap;
  readonly initial: RouteMap;
  /** Whether the document is longer than what was run. */
  readonly isPart: boolean;
  /** How this was measured, one sentence. */
  readonly convention: string;
}

/** One head's reading of one buffer; `head` counts query heads. */
export interface Route {
  readonly layer: number;
  readonly head: number;
  readonly buffer: number;
}

/**
 * Where the output of each head for one token came from: shares of |sum over s of A(t, s) R_j V_j(s)| by buffer j,
 * (L, H, L); each row sums to 1.
 */
export interface TokenRoutes {
  readonly token: number;
  readonly shares: Float32Array;
  /** The same with the routers at initialisation. */
  readonly initial: Float32Array;
}

/** The share of one route in its head's output, by token (T). */
export interface RouteTokens {
  readonly shares: Float32Array;
  readonly initial: Float32Array;
}

export interface CircuitsRequest {
  readonly model: ModelRequest;
  readonly roots: readonly string[];
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly useGitIgnore: boolean;
  readonly route: Route;
  /** Most tokens to run, and to return. */
  readonly tokens: number;
  readonly count: number;
}

export interface Circuits {
  /** Tokens that were run. */
  readonly tokens: number;
  /** By descending share. */
  readonly found: readonly CircuitToken[];
  /** Token texts by how often they are among the strongest 1 % (at most 1000, at least those found), with their mean share. */
  readonly byText: readonly {
    readonly text: string;
    readonly count: number;
    readonly mean: number;
  }[];
  readonly convention: string;
}

export interface CircuitToken {
  readonly text: string;
  readonly share: number;
  /** Some tokens before and after it, as text. */
  readonly before: string;
  readonly after: string;
  readonly path: string;
  /** UTF-16 offsets in the file's text. */
  readonly start: number;
  readonly end: number;
  /** Whether the file can be opened there: false for text that was extracted (HTML, PDF, JSONL), where the offsets are 0. */
  readonly verbatim: boolean;
}
