import type { ModelRequest } from './engine.ts';
import type { RouterFit } from './layerMap.ts';
import type { CorpusPlan, CorpusRequest } from './trainer.ts';

/** A fit of LIMe routers (arXiv 2502.09245) to a frozen model. */
export interface RouterFitRequest {
  readonly model: ModelRequest;
  readonly corpus: CorpusRequest;
  /** Checkpoints and the routers go here; a fit that lies here is taken up. */
  readonly folder: string;
  readonly name: string;
  /** Tokens to run, counted with repetition; 0: as many as the default passes over the text give. */
  readonly tokens: number;
  readonly seed: number;
}

export type RouterFitPlanRequest = Pick<RouterFitRequest, 'model' | 'corpus' | 'tokens'>;

export interface RouterFitPlan {
  readonly corpus: CorpusPlan;
  readonly tokens: number;
  /** From one step that was run on this machine just now. */
  readonly seconds: number;
  readonly secondsPerToken: number;
  /** Memory of the process at its largest, as one step just now needed it. */
  readonly bytes: number;
}

export type RouterFitPhase =
  'loading' | 'reading text' | 'measuring before' | 'fitting' | 'measuring after';

/** `report.json` beside the routers. */
export interface RouterFitReport {
  readonly format: 1;
  readonly model: string;
  readonly modelHash: string;
  /** Path of the routers, relative to the report. */
  readonly routers: string;
  readonly fit: RouterFit;
  readonly corpus: CorpusPlan;
  /** Tokens of the text that was fitted on. */
  readonly uniqueTokens: number;
  readonly curve: readonly FitPoint[];
  /** What it ended on, and why that is not what was asked for, if it is not. */
  readonly device: string;
  readonly deviceNote?: string;
  /** How all this was done and measured. */
  readonly convention: string;
}

/** One step of a fit and its mean cross-entropy on the text that it was fitted on. */
export interface FitPoint {
  readonly step: number;
  readonly loss: number;
}
