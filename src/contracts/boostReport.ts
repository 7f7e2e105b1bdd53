/** What a training of a residual SAE (SAE Boost, arXiv 2507.12990) changed, as `report.json` in its folder says it. */
export interface BoostReport {
  readonly format: 1;
  /** The domain's name. */
  readonly name: string;
  readonly model: string;
  readonly base: {
    readonly name: string;
    readonly hash: string;
    /** Features of the base kept per token, where it is a top-k SAE. */
    readonly k: number | null;
  };
  readonly width: number; // F of the residual SAE
  /** Features that fire per token of the domain, as asked for. */
  readonly k: number;
  readonly trainedTokens: number;
  readonly uniqueTokens: number;
  /** The held-out text that the numbers come from. */
  readonly text: {
    readonly domain: TextSource;
    readonly general: TextSource;
  };
  /** The paper's plain method first, then the remedies for general text. */
  readonly variants: readonly ReportVariant[];
  /** The features of the residual SAE that fire on held-out domain text, most frequent first. */
  readonly features: readonly ReportFeature[];
  /** Tokens of held-out domain text whose error shrank most. */
  readonly improved: readonly ImprovedToken[];
  /** How all this was measured. */
  readonly convention: string;
}

export interface TextSource {
  readonly description: string;
  readonly files: number;
  readonly tokens: number;
}

export type VariantName = 'plain' | 'calibrated' | 'mixed';

/** One residual SAE that the report compares. */
export interface ReportVariant {
  readonly name: VariantName;
  /** Folder of the residual SAE, relative to the report's. */
  readonly folder: string;
  /** What was done differently, one sentence. */
  readonly description: string;
  /** Threshold of the residual SAE's features, the mean where each has its own. */
  readonly threshold: number;
  readonly domain: BoostMeasure;
  readonly general: BoostMeasure;
  /** The same for other subsets of the domains that were on, named by them; the base alone is in `domain` and `general`. */
  readonly subsets: readonly {
    readonly domains: readonly string[];
    readonly domain: SumMeasure;
    readonly general: SumMeasure;
  }[];
}

/** The base alone and with the residual SAE, on one text. */
export interface BoostMeasure {
  readonly tokens: number;
  readonly excluded: number;
  /** Nats per token. */
  readonly clean: number;
  readonly zero: number;
  readonly base: SumMeasure;
  readonly boosted: SumMeasure;
  /** (boosted - base) / base of EV. */
  readonly evChange: number;
  /** (boosted - base) / base of the degradation of cross-entropy; negative: the model loses less. */
  readonly deltaCeChange: number;
}

/** Reconstruction by a base and the residual SAEs of some domains, summed. */
export interface SumMeasure {
  readonly ev: number;
  readonly ce: number;
  /** ce - clean */
  readonly deltaCe: number;
  /** (zero - ce) / (zero - clean) */
  readonly score: number;
  /** Mean active features per token, of the base and of the residual SAEs. */
  readonly l0: number;
  readonly residualL0: number;
}

export interface ReportFeature {
  readonly feature: number;
  /** The tokens on which it fires most, a stand-in for a label. */
  readonly label: string;
  /** Fraction of held-out domain tokens, and of general ones. */
  readonly domainDensity: number;
  readonly generalDensity: number;
  readonly maxActivation: number;
  readonly examples: readonly ReportExample[];
  /** The base's features of most similar decoder direction: the paper's check for redundancy. */
  readonly nearest: readonly {
    readonly feature: number;
    readonly cosine: number;
    readonly label: string;
  }[];
}

/** A token in its context. */
export interface ReportExample {
  readonly before: string;
  readonly token: string;
  readonly after: string;
  readonly activation: number;
  readonly place: TextPlace | null;
}

/** Where a token stands in a file that can be opened. */
export interface TextPlace {
  readonly path: string;
  /** UTF-16 offset of the token in the file. */
  readonly start: number;
}

export interface ImprovedToken {
  readonly before: string;
  readonly token: string;
  readonly after: string;
  readonly place: TextPlace | null;
  /** |x - xhat| of the base alone and with the residual SAE. */
  readonly errorBefore: number;
  readonly errorAfter: number;
}
