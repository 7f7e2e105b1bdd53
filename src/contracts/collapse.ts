import type { ModelRequest } from './engine.ts';

/*
 * How far a model's layers have come to say the same of different tokens (representation collapse), after
 * arXiv 2502.09245, section 4: matrix entropy, linear separability of close words, and where their tokens lie.
 */

/** What of a layer is measured: the values that its attention reads (hook_v), or what leaves it (hook_resid_post). */
export type CollapsePlace = 'values' | 'hiddenStates';

export const collapsePlaces: readonly CollapsePlace[] = ['values', 'hiddenStates'];

export interface CollapseResult {
  readonly model: string;
  /** 'lime': the values are those that its routers mixed for each head, also where they were fitted to a Llama. */
  readonly architecture: string;
  readonly tokens: number;
  /** T */
  readonly windowLength: number;
  /** Windows whose entropy was measured. */
  readonly samples: number;
  readonly alpha: number;
  readonly words: readonly CollapseWord[];
  /** Tokens of each word that were told apart. */
  readonly perWord: number;
  /** Accuracy of guessing: 1 / words; null without words. */
  readonly chance: number | null;
  readonly folds: number;
  readonly epochs: number;
  readonly seed: number;
  /** L */
  readonly layers: readonly LayerCollapse[];
  readonly projections: readonly TokenPoints[];
  /** How this was measured. */
  readonly convention: string;
}

export interface CollapseWord {
  readonly word: string;
  readonly tokenId: number;
  /** Its tokens in the text. */
  readonly count: number;
}

export type LayerCollapse = Readonly<Record<CollapsePlace, PlaceCollapse>>;

export interface PlaceCollapse {
  /** Nats, over the measured windows. */
  readonly entropy: MeanAndDeviation;
  /** Accuracy over the folds; null where the text has too few of the words. */
  readonly separability: MeanAndDeviation | null;
}

/** The deviation is that of the whole population, as the authors print it. */
export interface MeanAndDeviation {
  readonly mean: number;
  readonly deviation: number;
}

/** Tokens of the words as points of a plane. */
export interface TokenPoints {
  readonly layer: number;
  readonly place: CollapsePlace;
  /** (N, 2) */
  readonly points: Float32Array;
  /** Index of each point's word (N). */
  readonly words: Uint32Array;
}

/** What the extension host asks the engine to measure. */
export interface CollapseRequest {
  readonly model: ModelRequest;
  readonly text: CollapseText;
  /** Most tokens to read. */
  readonly tokens: number;
  /** Words to tell apart; none: entropy alone. */
  readonly words: readonly string[];
  readonly alpha: number;
  /** Most windows whose entropy is measured. */
  readonly samples: number;
  /** How many layers' tokens are laid out in a plane, evenly spread with the last among them; and tokens of each. */
  readonly projected: number;
  readonly points: number;
  readonly seed: number;
}

export type CollapseText =
  | { readonly kind: 'document'; readonly text: string }
  | ({ readonly kind: 'files' } & CollapseFiles);

export interface CollapseFiles {
  readonly roots: readonly string[];
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly useGitIgnore: boolean;
}
