import type { BoostReport } from './boostReport.ts';
import type { Call } from './call.ts';
import type { TensorflowChoice } from './tensorflow.ts';
import type { EngineInfo, LoadProgress, ModelRequest } from './engine.ts';
import type {
  RouterFitPhase,
  RouterFitPlan,
  RouterFitPlanRequest,
  RouterFitReport,
  RouterFitRequest,
} from './routerFit.ts';

/** Everything that the extension host may ask of the trainer: the engine's program in another process and role. */
export interface TrainerContract {
  hello: Call<{ readonly protocol: number }, EngineInfo>;
  /** Reads the text and counts its tokens, without training. */
  plan: Call<PlanRequest, BoostPlan, LoadProgress>;
  /** Trains a residual SAE into a folder, or goes on with the training there; ends with its report. */
  boost: Call<BoostRequest, BoostReport, BoostProgress>;
  /** Reads the text, and runs a gradient to say what a fit takes. */
  planFit: Call<RouterFitPlanRequest, RouterFitPlan, LoadProgress>;
  /** Fits LIMe routers to a frozen model into a folder, or goes on with the fit there; ends with its report. */
  fitRouters: Call<RouterFitRequest, RouterFitReport, RouterFitProgress>;
  /** Holds the training after its present step; it keeps its memory. */
  pause: Call<null, null>;
  resume: Call<null, null>;
}

/** Which files are the corpus. */
export interface CorpusRequest {
  /** Folders and files. */
  readonly roots: readonly string[];
  /** Globs relative to a root; empty: every file. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly useGitIgnore: boolean;
  /** Of the split into text to train on and held-out text. */
  readonly seed: number;
  readonly maxFileBytes: number;
}

export interface CorpusPlan {
  readonly files: number;
  readonly documents: number;
  readonly bytes: number;
  /** To train on. */
  readonly tokens: number;
  readonly heldOutFiles: number;
  readonly heldOutTokens: number;
  readonly skipped: readonly {
    readonly reason: string;
    readonly count: number;
    readonly examples: readonly string[];
  }[];
  readonly duplicates: number;
  /** What was held out: whole files, lines of JSONL, or sections where there is one document. */
  readonly split: 'files' | 'lines' | 'sections';
  /** Files by format. */
  readonly formats: Readonly<Record<string, number>>;
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
}

export interface PlanRequest {
  readonly model: ModelRequest;
  /** The frozen SAE. */
  readonly basePath: string;
  readonly baseK?: number;
  readonly corpus: CorpusRequest;
  /** Features of the residual SAE, and how many of them fire per token. */
  readonly width: number;
  readonly k: number;
  /** Steps are taken in TensorFlow where it can be used; on the model's device where this is not given. */
  readonly tensorflow?: TensorflowChoice | undefined;
  /** Training tokens, counted with repetition; 0: as many as the default passes over the text give. */
  readonly tokens: number;
}

export interface BoostPlan {
  readonly corpus: CorpusPlan;
  /** Training tokens that the request or the default comes to. */
  readonly tokens: number;
  /** Of the whole plain training with its report, from parts of it timed on this machine just now. */
  readonly seconds: number;
  /** What of `seconds` one more training token takes. */
  readonly secondsPerToken: number;
  /** What one more token of text to train on takes to be computed. */
  readonly secondsPerTextToken: number;
}

export interface BoostRequest {
  readonly model: ModelRequest;
  /** The frozen SAE. */
  readonly basePath: string;
  readonly corpus: CorpusRequest;
  /** General text to measure on and to mix in; empty: what comes with Loupe. */
  readonly generalPaths: readonly string[];
  /** Features of a top-k base kept per token; absent: as many as it was trained for. */
  readonly baseK?: number;
  /** Residual SAEs of other domains that are on: the report measures their subsets too. */
  readonly otherDomains: readonly string[];
  /** Checkpoints, the residual SAE and its report go here; a training that lies here is taken up. */
  readonly folder: string;
  /** Name of the domain. */
  readonly name: string;
  readonly width: number;
  readonly k: number;
  /** Steps are taken in TensorFlow where it can be used; on the model's device where this is not given. */
  readonly tensorflow?: TensorflowChoice | undefined;
  /** 0: as many as the default passes over the text give. */
  readonly tokens: number;
  readonly seed: number;
  /** Share of general text in the training; 0: the paper's plain method. */
  readonly mixGeneral: number;
  /** Most bytes of activations kept on disk while training. */
  readonly diskBytes: number;
  /** The command or settings as the user gave them, for the record. */
  readonly command: string;
}

export type BoostPhase =
  | 'loading'
  | 'reading text'
  | 'computing activations'
  | 'training'
  | 'calibrating'
  | 'describing features'
  | 'measuring';

export type BoostProgress = TrainingProgress<BoostPhase>;
export type RouterFitProgress = TrainingProgress<RouterFitPhase>;

/**
 * How a training, of a residual SAE or of routers, stands; numbers are null where they are not known yet, or are not
 * measured in trainings of the kind.
 */
export interface TrainingProgress<Phase = BoostPhase | RouterFitPhase> {
  readonly phase: Phase;
  /** Of the phase, 0 to 1. */
  readonly fraction: number;
  readonly step: number;
  readonly steps: number;
  readonly tokens: number;
  readonly loss: number | null;
  /** Explained variance of x by base + residual SAE, held-out domain text; and of the base alone. */
  readonly domainEv: number | null;
  readonly domainEvBase: number | null;
  readonly generalEv: number | null;
  readonly generalEvBase: number | null;
  /** Features that have fired lately, and the fraction that has not. */
  readonly alive: number | null;
  /** What takes the steps, as people know it. */
  readonly device?: string;
  readonly dead: number | null;
  readonly tokensPerSecond: number | null;
  /** Of everything that is left to do. */
  readonly secondsLeft: number | null;
}
