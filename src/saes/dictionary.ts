import type { Hook } from '../contracts/hooks.ts';

/** What turns pre-activations (F) into activations (F). k is an argument at run time, at most `maxK`. */
export type ActivationRule =
  | { readonly kind: 'relu' }
  /** The k largest pre-activations, rectified; `maxK` is the largest k that it was trained for. */
  | { readonly kind: 'topk'; readonly maxK: number }
  /** Of each of `groups` runs of F / groups features the largest pre-activation, rectified (sparsify's groupmax). */
  | { readonly kind: 'groupmax'; readonly groups: number }
  /** h where h > threshold, else 0. */
  | { readonly kind: 'jumprelu'; readonly threshold: Float32Array } // (F)
  /** relu(h_mag) where h_gate > 0; h_mag = exp(rMag) * W_enc x + bMag, h_gate = W_enc x + encoderBias. */
  | { readonly kind: 'gated'; readonly rMag: Float32Array; readonly bMag: Float32Array }; // (F), (F)

/**
 * How each token's x is rewritten for the encoder; the reconstruction is written back, but a transcoder's is not (SAELens
 * `_setup_activation_normalization`, `transcoder.py`).
 * - 'layer': (x - mean) / (std + 1e-5), both over D, std with D - 1; back by std and mean. SAELens' layer_norm, OpenAI's LN.
 * - 'length': x sqrt(D) / |x|; back by |x| / sqrt(D). SAELens' constant_norm_rescale, Llamascopium's token-wise.
 */
export type InputNorm = 'layer' | 'length';

/** Where a transcoder's reconstruction belongs: what it reads at one hook it writes for another. */
export interface TranscoderOutput {
  readonly hook: Hook;
  /** Width of the activation there, O. */
  readonly width: number;
}

/** Which tokens are left out of training and of every statistic, identically (design, section 5). */
export interface TokenPolicy {
  readonly excludeFirst: boolean;
  /** Tokens with |x| above this are left out: 10 times the median norm of the training text; Infinity: none. */
  readonly maxNorm: number;
}

/** The frozen SAE that a residual SAE corrects (SAE Boost, arXiv 2507.12990). */
export interface Base {
  readonly name: string;
  /** Of the base's files, as `dictionaryHash` gives it. */
  readonly hash: string;
  /** Features of the base kept per token in training; null: all that fire. */
  readonly k: number | null;
}

/** One sparse autoencoder in memory, whatever kind it is and whatever format it came from. */
export interface Dictionary {
  readonly name: string;
  readonly hook: Hook;
  /** Number of features, F. */
  readonly width: number;
  /** Width of the activation it reads, D. */
  readonly inputWidth: number;
  readonly encoder: Float32Array; // (F, D), a row per feature
  readonly encoderBias: Float32Array; // (F)
  readonly decoder: Float32Array; // (F, O), a row per feature; O is D but in a transcoder
  /** Absent in a residual SAE, whose output is 0 when nothing fires. */
  readonly decoderBias: Float32Array | undefined; // (O)
  /** SAELens' apply_b_dec_to_input: the encoder reads x - decoderBias. */
  readonly subtractDecoderBias: boolean;
  readonly rule: ActivationRule;
  /** In a transcoder: what it reconstructs instead of what it reads. */
  readonly output?: TranscoderOutput | undefined;
  /** Added to the reconstruction: skip times x, as it was before `inputNorm`. */
  readonly skip?: Float32Array | undefined; // (O, D)
  readonly inputNorm?: InputNorm | undefined;
  /**
   * It was trained on a model whose writing weights are centred (TransformerLens): it reads and reconstructs x less its
   * mean over D. Exact for GPT-2, whose norms take that mean away in any case.
   */
  readonly centred?: boolean | undefined;
  readonly tokenPolicy: TokenPolicy;
  /** In a residual SAE: whose error it reconstructs. */
  readonly base?: Base | undefined;
  /** The model it was trained on; undefined where the file does not say. */
  readonly model: { readonly name: string; readonly hash: string | undefined } | undefined;
  /** Whatever else the file said of itself, kept for writing it back. */
  readonly provenance: Readonly<Record<string, unknown>>;
}

/** Width of what the dictionary reconstructs, O. */
export function outputWidthOf({
  output,
  inputWidth,
}: Pick<Dictionary, 'output' | 'inputWidth'>): number {
  return output?.width ?? inputWidth;
}

/** The k that a rule bounds by itself; undefined where thresholds decide how many features fire. */
export function largestK(rule: ActivationRule): number | undefined {
  if (rule.kind === 'topk') return rule.maxK;
  return rule.kind === 'groupmax' ? rule.groups : undefined;
}
