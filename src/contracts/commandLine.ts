import type { Circuits, MapAgreement, Route, RouterFit, RouterOrigin } from './layerMap.ts';
import type { FoundThing } from './foundThing.ts';
import type { PublicSae } from './publicSae.ts';
import type { CollapsePlace, CollapseResult } from './collapse.ts';
import type { DeviceReport } from './devices.ts';

/** The JSON documents that `loupe --json` prints (design, section 9). */
export interface AnalyzeResult {
  readonly model: string;
  readonly sae: string;
  readonly k: number;
  readonly tokens: readonly AnalyzedToken[];
  /** Labels of the features that occur, by feature number, where the SAE has feature cards. */
  readonly labels?: Readonly<Record<number, string>>;
  /** The same of the domains whose residual SAEs have feature cards, by the domain's name. */
  readonly domainLabels?: Readonly<Record<string, Readonly<Record<number, string>>>>;
}

export interface AnalyzedToken {
  readonly index: number;
  readonly text: string;
  /** UTF-16 offsets in the file. */
  readonly start: number;
  readonly end: number;
  /** Nats; null for the first token. */
  readonly surprisal: number | null;
  /** The base's k strongest and all that fire of the residual SAEs, by descending activation. */
  readonly features: readonly AnalyzedFeature[];
}

export interface AnalyzedFeature {
  /** Counts within its source. */
  readonly id: number;
  readonly activation: number;
  /** 'base', or the name of a residual SAE. */
  readonly source: string;
}

export interface EvaluateResult {
  readonly tokens: number;
  readonly excluded: number;
  readonly convention: string;
  readonly results: readonly EvaluationAtK[];
}

export interface EvaluationAtK {
  /** Of the SAE itself; residual SAEs have their thresholds. */
  readonly k: number;
  /** Names of the residual SAEs whose output was added. */
  readonly residuals: readonly string[];
  /** 1 - sum |x - xhat|^2 / sum |x - mean(x)|^2 over the evaluated tokens, float64. */
  readonly ev: number;
  readonly mse: number;
  readonly cosine: number;
  /** Mean number of active features per token, and those of residual SAEs among them. */
  readonly l0: number;
  readonly residualL0: number;
  /** Fraction of features with no activation in the evaluated tokens. */
  readonly dead: number;
  readonly ce: {
    readonly clean: number;
    readonly sae: number;
    readonly zero: number;
    /** sae - clean */
    readonly delta: number;
    /** (zero - sae) / (zero - clean) */
    readonly score: number;
  };
  /** As SAELens measures on the same tokens; only at the largest k, of the SAE by itself. */
  readonly saelens?: SaeLensFigures;
}

/**
 * Figures by the formulas and the convention of SAELens' `evals.py`: over all tokens, none left out, each of them replaced.
 * Cross-entropies and divergences in nats.
 */
export interface SaeLensFigures {
  /** explained_variance */
  readonly ev: number;
  readonly mse: number;
  /** cossim */
  readonly cosine: number;
  /** Mean of |xhat| / |x|. */
  readonly l2Ratio: number;
  readonly l0: number;
  readonly l1: number;
  readonly ceWithoutSae: number;
  readonly ceWithSae: number;
  readonly ceWithAblation: number;
  /** (ablation - SAE) / (ablation - without) */
  readonly ceScore: number;
  /** KL of the model's own next-token probabilities from those with the SAE in place. */
  readonly klWithSae: number;
  readonly klWithAblation: number;
  /** (ablation - SAE) / ablation */
  readonly klScore: number;
}

export interface TrainResult {
  readonly sae: string;
  readonly steps: number;
  readonly tokens: number;
  readonly loss: number;
  readonly ev: number;
  readonly dead: number;
  readonly tokensPerSecond: number;
  /** What took the steps of this sitting, as people know it. */
  readonly device: string;
}

export interface ExportResult {
  readonly folder: string;
  readonly features: number;
  readonly rule: string;
  /** Whether the export reconstructs as its parts do, but for the order of additions. */
  readonly exact: boolean;
  /** Where a top-k base was given a threshold: what that changes. */
  readonly calibrated?: {
    readonly k: number;
    readonly threshold: number;
    readonly tokens: number;
    readonly topK: ExportFigures;
    readonly jumprelu: ExportFigures;
  };
}

export interface ExportFigures {
  readonly ev: number;
  readonly ce: number;
  readonly l0: number;
}

export interface ActivationsResult {
  readonly file: string;
  readonly tokens: number;
  readonly hooks: readonly string[];
}

/** Shares by layer l and buffer j: each row sums to 1, and is 0 behind its layer. */
export interface RouteMapResult {
  /** map[l][j] */
  readonly map: readonly (readonly number[])[];
  /** perHead[l][h][j], h a head of keys and values. */
  readonly perHead: readonly (readonly (readonly number[])[])[];
}

/** The map of the routers by |R|, and with `--text` the same by contribution. */
export interface LayerMapResult extends RouteMapResult {
  /** Whether routers were fitted to a frozen model; of others, `origin` says where they are from. */
  readonly fitted: boolean;
  readonly origin: RouterOrigin;
  readonly model: string;
  readonly fit: RouterFit | null;
  readonly layers: number;
  /** Heads of keys and values. */
  readonly heads: number;
  readonly initial: RouteMapResult;
  /** With the map of other routers. */
  readonly agreement?: MapAgreement;
  readonly contribution?: RouteMapResult & {
    readonly initial: RouteMapResult;
    readonly tokens: number;
    readonly convention: string;
  };
}

export interface CircuitsResult extends Circuits {
  readonly model: string;
  readonly route: Route;
}

export interface FindResult {
  readonly found: readonly FoundThing[];
}

export interface SearchResult {
  readonly endpoint: string;
  readonly repositories: readonly {
    readonly id: string;
    readonly downloads: number;
    readonly likes: number;
    readonly gated: boolean;
    readonly tags: readonly string[];
  }[];
}

export interface DownloadResult {
  readonly repository: string;
  /** The commit that was asked for. */
  readonly commit: string;
  readonly kind: 'model' | 'sae';
  /** What `--model` or `--sae` takes. */
  readonly path: string;
  readonly bytes: number;
  readonly files: readonly string[];
}

export interface SaesResult {
  readonly saes: readonly PublicSae[];
}

export interface FailureResult {
  readonly error: { readonly code: string; readonly message: string; readonly action?: string };
}

/** One model, or two side by side. */
export interface CollapseCommandResult {
  readonly results: readonly (Omit<CollapseResult, 'projections'> & {
    readonly projections: readonly {
      readonly layer: number;
      readonly place: CollapsePlace;
      readonly points: readonly { readonly word: string; readonly x: number; readonly y: number }[];
    }[];
  })[];
}

export interface DevicesResult {
  readonly devices: readonly DeviceReport[];
}

/** What `loupe cuda` found or did. */
export interface CudaResult {
  /** 'offered': nothing was downloaded, since --yes was not given. */
  readonly state: 'offered' | 'installed';
  readonly folder: string;
  /** Bytes of the download, and where from; absent where the libraries were the user's. */
  readonly bytes?: number;
  readonly from?: string;
}
