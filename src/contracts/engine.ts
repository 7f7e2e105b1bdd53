import type { Call } from './call.ts';
import type { DeviceState } from './devices.ts';
import type { LayerMapContract } from './layerMap.ts';
import type { LookContract } from './lookAt.ts';

/** Everything that the extension host may ask of the engine process. Bulk numbers travel as typed arrays. */
export interface EngineContract extends LayerMapContract, LookContract {
  /** First call on a new process: refuses another build's messages. */
  hello: Call<{ readonly protocol: number }, EngineInfo>;
  loadModel: Call<ModelRequest, ModelInfo, LoadProgress>;
  /**
   * Loads the SAE (a folder or file) for the loaded model, and the residual SAEs of domains that were trained for it;
   * fails with `mismatch` where the SAE does not fit. A domain that cannot be used is named in `refused`.
   */
  loadSae: Call<SaeRequest, SaeInfo, LoadProgress>;
  /** Analyses a document; parts arrive as progress, the window with the visible range first. */
  analyze: Call<AnalyzeRequest, AnalysisSummary, AnalysisPart>;
  /** Drops what is kept for a closed document. */
  forget: Call<{ readonly documentId: string }, null>;
  /** Density and top tokens of every feature of the base and of the domains, for lists and hovers. */
  featureLabels: Call<null, FeatureLabels>;
  /** By the feature's number among all: the base's come first, then one domain's after the other's. */
  featureCard: Call<{ readonly feature: number }, FeatureCard>;
  /**
   * Reports what the model runs on and what that takes, now and whenever it has changed; ends when it is cancelled.
   */
  watchDevice: Call<null, null, DeviceState>;
}

export const engineProtocol = 7;

export interface EngineInfo {
  readonly protocol: number;
  readonly pid: number;
  readonly runtime: string;
}

/** What can run a graph. */
export type Device = 'cpu' | 'webgpu' | 'cuda' | 'directml' | 'coreml';

/** What a user may ask for. */
export type DeviceChoice = Device | 'auto';

export interface ModelRequest {
  /** A GGUF file, a folder of transformers' layout, or a safetensors file in one. */
  readonly path: string;
  /** Fitted LIMe routers to run it with: a file of `loupe limefit`, or its folder. */
  readonly routers?: string;
  /** Where derived files (dequantised weights) may be kept. */
  readonly cacheFolder: string;
  readonly threads: number;
  /**
   * What the model and its SAEs run on; the CPU unless given. 'auto': the first of this machine's that works and is no
   * slower than the CPU. Whatever is asked for, the CPU goes on where a test run on it fails, or it fails later.
   */
  readonly device?: DeviceChoice;
  /** One sentence: why the CPU is to take the place of the device that is asked for. */
  readonly insteadOfDevice?: string;
  /**
   * What the products with weights are computed in; 'float32' unless given: only what is asked to trains or measures in
   * float16.
   */
  readonly precision?: PrecisionChoice;
}

/**
 * 'float16': on a device with 16-bit arithmetic. 'auto': there, if a run of text deviates little enough from float32; the
 * CPU computes in float32.
 */
export type PrecisionChoice = 'auto' | 'float32' | 'float16';

export interface LoadProgress {
  readonly step: string;
  /** 0 to 1. */
  readonly fraction: number;
}

export interface ModelInfo {
  readonly name: string;
  readonly path: string;
  /** sha256 of the weights' file, hex; of several, the sha256 of theirs. */
  readonly hash: string;
  readonly architecture: string;
  readonly layers: number;
  readonly width: number;
  readonly vocabulary: number;
  /** sha256 of all that decides a text's token ids, hex; absent without a tokenizer. */
  readonly tokenizer?: string;
  readonly contextLength: number;
  readonly device: string;
  /** Sentences: why no other device is used, or what of this one's work is the CPU's. */
  readonly deviceNote?: string;
  readonly precision: string;
}

export interface SaeRequest {
  readonly path: string;
  /** Residual SAEs to load with it, in the order that their features are numbered in. */
  readonly domains: readonly DomainRequest[];
}

/** A domain's residual SAE on disk; the name is the user's. */
export interface DomainRequest {
  readonly name: string;
  readonly path: string;
}

export interface SaeInfo {
  readonly name: string;
  readonly path: string;
  /** Of its numbers, hex: tells an SAE from another, also at the same path. */
  readonly hash: string;
  readonly hook: string;
  /** F */
  readonly features: number;
  /** The largest k that the sparsity slider offers. */
  readonly maxK: number;
  readonly kind: string;
  readonly activationUnit: string;
  readonly domains: readonly DomainInfo[];
  /** Domains that were asked for and cannot be used with this SAE, and why. */
  readonly refused: readonly (DomainRequest & { readonly message: string })[];
}

/** The residual SAE of a domain, loaded beside its base. */
export interface DomainInfo {
  readonly name: string;
  readonly path: string;
  readonly hash: string;
  /** F of the residual SAE. */
  readonly features: number;
  /** Number of its feature 0 among all features. */
  readonly first: number;
}

export interface AnalyzeRequest {
  readonly documentId: string;
  readonly text: string;
  /** UTF-16 offsets into `text` of what the user sees; analysed first. */
  readonly visible: { readonly start: number; readonly end: number };
  /** Next-token predictions per token (P), at least 1. */
  readonly predictions: number;
}

/**
 * What the model and the SAE say of `t` consecutive tokens. T-indexed arrays have length t; (t, K) arrays are row-major.
 * A later part for the same tokens replaces an earlier one.
 */
export interface AnalysisPart {
  /** Index in the document of the part's first token. */
  readonly firstToken: number;
  /** UTF-16 offsets in the document, (t). A token inside a multi-token character has the character's whole range. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  readonly tokenIds: Uint32Array;
  /** -ln p(token | what precedes it in its window), nats; NaN for the first token of the document. */
  readonly surprisal: Float32Array;
  /** Most probable next tokens, (t, P) in descending order, as text, and their probabilities. */
  readonly predictions: readonly string[];
  readonly probabilities: Float32Array;
  /** K: features kept per token. */
  readonly k: number;
  /** Feature numbers (t, K), by descending activation; padding where the activation is 0. */
  readonly features: Uint32Array;
  /** Activations (t, K) in the SAE's own scale; 0 where nothing fires. */
  readonly activations: Float32Array;
  /** |x - xhat_k|^2 for k = 1..K, (t, K): the error of the reconstruction from the k strongest features. */
  readonly squaredError: Float32Array;
  /** |x|^2, (t). */
  readonly squaredNorm: Float64Array;
  /** Sum of x over the included tokens of the part, (D): with squaredNorm it gives the document's variance. */
  readonly sum: Float64Array;
  /** 1 where the token policy leaves the token out of every statistic, (t). */
  readonly excluded: Uint8Array;
  /** What each domain's residual SAE adds, in the order of `SaeInfo.domains` (n of them). */
  readonly domains: readonly DomainPart[];
  /** Inner products ehat_a . ehat_b of what the domains add, (t, n, n). */
  readonly gram: Float32Array;
}

/**
 * What one domain's residual SAE says of the tokens of a part: its reconstruction ehat of the base's error. With e_k =
 * x - xhat_k and `AnalysisPart.gram`, the error of base and any subset S of domains is known at every k:
 * |e_k - sum_S ehat|^2 = |e_k|^2 - 2 sum_S e_k . ehat_d + sum_{a, b in S} ehat_a . ehat_b.
 */
export interface DomainPart {
  /** Most features that fire on one of the part's tokens, K_d; 0 where none does. */
  readonly k: number;
  /** Numbers among all features (t, K_d), by descending activation; padding where the activation is 0. */
  readonly features: Uint32Array;
  readonly activations: Float32Array; // (t, K_d)
  /** e_k . ehat for the base's k = 1..K, (t, K). */
  readonly products: Float32Array;
}

export interface AnalysisSummary {
  readonly tokens: number;
  /** Tokens taken over from the last analysis of this document, and tokens run again. */
  readonly reused: number;
  readonly computed: number;
  readonly milliseconds: number;
}

export interface FeatureLabels {
  /** Fraction of evaluated tokens on which the feature is active at maxK, (F of base and domains); NaN: unknown. */
  readonly density: Float32Array;
  /** The tokens on which the feature fires most, a stand-in for a label, (F); '' where unknown. */
  readonly labels: readonly string[];
  /** How the density was measured, one sentence. */
  readonly convention: string;
}

export interface FeatureCard {
  readonly feature: number;
  readonly label: string;
  readonly density: number;
  /** Counts of the nonzero activations in equal bins from 0 to maxActivation. */
  readonly histogram: Uint32Array;
  readonly maxActivation: number;
  readonly topTokens: readonly {
    readonly token: string;
    readonly share: number;
    readonly mean: number;
  }[];
  readonly examples: readonly FeatureExample[];
  /** Tokens whose logit the decoder row raises or lowers most: W_U times the row (final norm's gain folded in). */
  readonly promoted: readonly { readonly token: string; readonly logit: number }[];
  readonly suppressed: readonly { readonly token: string; readonly logit: number }[];
  /** How these were measured and from which text, one sentence. */
  readonly convention: string;
}

export interface FeatureExample {
  readonly tokens: readonly string[];
  readonly activations: Float32Array;
  readonly source: string;
}
