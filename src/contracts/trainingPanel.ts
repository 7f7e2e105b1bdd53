import type { BoostReport, TextPlace } from './boostReport.ts';
import type { Call } from './call.ts';
import type { BoostPlan, TrainingProgress } from './trainer.ts';

/** What the training panel may ask of the extension host. */
export interface TrainingHost {
  /** The page is ready to draw: the host answers with the present state and then sends `TrainingView.show`. */
  ready: Call<null, TrainingState>;
  /** Starts making a plan, as the command does. */
  train: Call<null, null>;
  /** Queues the planned training with what the user changed. */
  start: Call<PlanChoice, null>;
  dropPlan: Call<null, null>;
  pause: Call<{ readonly id: string }, null>;
  /** Goes on with a paused training, or tries a failed one again from its checkpoint. */
  resume: Call<{ readonly id: string }, null>;
  cancel: Call<{ readonly id: string }, null>;
  /** Takes a training that has ended off the list. */
  remove: Call<{ readonly id: string }, null>;
  /** Chooses the domain whose report is shown; null: the trainings. */
  showReport: Call<{ readonly domain: string | null }, null>;
  report: Call<{ readonly domain: string }, BoostReport>;
  openMarkdown: Call<{ readonly domain: string }, null>;
  copyJson: Call<{ readonly domain: string }, null>;
  /** Opens the file and selects the token; the host tells where the file is gone or was changed. */
  openPlace: Call<PlacedToken, null>;
  /** Opens the panel of a feature of the base. */
  openFeature: Call<{ readonly feature: number }, null>;
  /** Opens the settings of trainings. */
  openSettings: Call<null, null>;
  /** Opens the layer map of the routers that a training has fitted. */
  showLayerMap: Call<{ readonly id: string }, null>;
  showLog: Call<null, null>;
}

/** What the host tells the page; every message is a full snapshot, at most four a second. */
export interface TrainingView {
  show: Call<TrainingState, null>;
}

export interface TrainingState {
  readonly plan: PlanState | null;
  /** Oldest first; at most one of them runs or is paused. */
  readonly jobs: readonly JobState[];
  /** Domains that have a report. */
  readonly reports: readonly string[];
  /** The report to show; a new stamp means new content. */
  readonly shown: { readonly domain: string; readonly stamp: number } | null;
  /** Why nothing can be trained here. */
  readonly obstacle: string | null;
}

/** A training before it is started. */
export type PlanState =
  | {
      readonly kind: 'reading';
      readonly name: string;
      readonly step: string;
      readonly fraction: number | null;
    }
  | { readonly kind: 'failed'; readonly name: string; readonly message: string }
  | {
      readonly kind: 'ready';
      readonly name: string;
      /** Names of the workspace folders. */
      readonly folders: readonly string[];
      readonly plan: BoostPlan;
      readonly width: number;
      readonly k: number;
      readonly choice: PlanChoice;
    };

/** What the user can change in the plan. */
export interface PlanChoice {
  /** Training tokens, counted with repetition. */
  readonly tokens: number;
  /** Share of general text in the training. */
  readonly mixGeneral: number;
}

/** What is trained: a residual SAE, or routers of a frozen model. */
export type TrainingKind = 'residual' | 'routers';

export type JobStatus = 'queued' | 'running' | 'paused' | 'done' | 'failed' | 'cancelled';

export interface JobState {
  readonly id: string;
  readonly kind: TrainingKind;
  readonly name: string;
  readonly status: JobStatus;
  /** Of everything, 0 to 1. */
  readonly fraction: number;
  readonly progress: TrainingProgress | null;
  /** Measurements so far, in the order of their steps; empty for jobs other than the one under way. */
  readonly curve: readonly CurvePoint[];
  /** F of a residual SAE. */
  readonly width: number | null;
  readonly failure: string | null;
  /** What happened that the user should know: "The trainer stopped (signal SIGKILL) and went on from its checkpoint." */
  readonly notice: string | null;
}

/** NaN has no JSON: null where not measured at that step. */
export interface CurvePoint {
  readonly step: number;
  readonly loss: number | null;
  readonly domainEv: number | null;
  readonly generalEv: number | null;
}

/** A token of a report and the file it was read from. */
export interface PlacedToken {
  readonly place: TextPlace;
  readonly before: string;
  readonly token: string;
  readonly after: string;
}
