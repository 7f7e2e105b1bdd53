import type { Call } from './call.ts';

/** Looks at a model or an SAE without loading it: what lists and cards say before anything runs. */
export interface LookContract {
  /** Reads headers, the configuration and the tokenizer, no weights; fails with what keeps Loupe from using it. */
  describeModel: Call<{ readonly path: string }, ModelFacts>;
  /** Reads the small files beside the weights alone; what they do not say is null. */
  describeSae: Call<{ readonly path: string }, SaeFacts>;
  /** Reads an SAE whole, or the header of another safetensors file. */
  saeCard: Call<{ readonly path: string }, SaeCard | TensorTable>;
}

export interface ModelFacts {
  readonly name: string;
  readonly architecture: string;
  readonly layers: number;
  readonly width: number; // D
  readonly vocabulary: number;
  readonly contextLength: number;
}

export interface SaeFacts {
  readonly hook: string | null;
  readonly features: number | null; // F
  readonly inputWidth: number | null; // D
  readonly kind: string | null;
  /** The model that it was trained on, as its authors name it. */
  readonly model: string | null;
}

/** Everything that an SAE's file says of itself, for people. */
export interface SaeCard {
  readonly kind: 'sae';
  readonly name: string;
  /** What the setting `loupe.sae.path` takes. */
  readonly path: string;
  readonly hook: string;
  readonly features: number; // F
  readonly inputWidth: number; // D
  readonly rule: string;
  /** Of a top-k SAE, else null. */
  readonly maxK: number | null;
  readonly model: string | null;
  /** Of a residual SAE: the SAE whose error it reconstructs. */
  readonly base: string | null;
  readonly subtractsDecoderBias: boolean;
  /** |W_dec| by feature. */
  readonly decoderNorms: Distribution;
  readonly encoderNorms: Distribution;
  /** Of a jumprelu SAE, else null. */
  readonly thresholds: Distribution | null;
  /** log10 of the fraction of tokens on which a feature fires, where it was measured. */
  readonly density: (Distribution & { readonly source: string }) | null;
  readonly files: readonly SizedFile[];
  /** Whatever else the file says, as text. */
  readonly notes: readonly (readonly [name: string, value: string])[];
}

/** A safetensors file that is no SAE, or one that cannot be read as an SAE. */
export interface TensorTable {
  readonly kind: 'tensors';
  readonly name: string;
  /** Why an SAE's file is shown as a table; null where it is none. */
  readonly obstacle: string | null;
  readonly tensors: readonly {
    readonly name: string;
    readonly dtype: string;
    readonly shape: readonly number[];
    readonly bytes: number;
  }[];
  readonly files: readonly SizedFile[];
  readonly notes: readonly (readonly [name: string, value: string])[];
}

export interface SizedFile {
  readonly name: string;
  readonly bytes: number;
}

/** Numbers of all features: finite ones in equal bins from `min` to `max`. */
export interface Distribution {
  readonly min: number;
  readonly mean: number;
  readonly max: number;
  readonly counts: Uint32Array;
  /** Numbers that are not finite: features that never fired. */
  readonly left: number;
}
