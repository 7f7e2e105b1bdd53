import type { AnalysisPart } from '../../contracts/engine.ts';
import type { Dictionary } from '../../saes/dictionary.ts';
import type { CellStatistics } from '../analysis/cellStatistics.ts';
import type { Activations } from '../sessions/activations.ts';

/** What the analysis needs of an SAE. */
export interface AnalysisSae {
  readonly dictionary: Pick<
    Dictionary,
    'hook' | 'inputWidth' | 'output' | 'centred' | 'tokenPolicy'
  >;
  /** Whether it reads activations that were left on the device. */
  readonly readsOnDevice?: boolean;
  read(request: ReadRequest): Promise<SaeReading>;
}

export interface ReadRequest {
  readonly x: Activations; // (T, D)
  /** What the SAE reconstructs: x where it is no transcoder (T, O). */
  readonly target: Activations;
  /** The rows from this one on are read. */
  readonly from: number;
  /** Whether that row is the first token that the model read. */
  readonly startsWindow: boolean;
}

/** What the base and the residual SAEs of its domains say of t tokens, as in `AnalysisPart`. */
export interface SaeReading extends Pick<
  AnalysisPart,
  'k' | 'features' | 'activations' | 'squaredError' | 'domains' | 'gram'
> {
  readonly cells: readonly CellStatistics[];
}
