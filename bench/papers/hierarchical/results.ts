import type { Ratio } from '../../parts/contestants.ts';
import type { Measures } from './measures.ts';

/** Everything that tables and plots are made of; hierarchical.json. */
export interface Results {
  /** The command, when and where it ran. */
  readonly command: string;
  readonly circumstances: string;
  readonly settings: ExperimentSettings;
  /** Model, hook and tokens. */
  readonly material: {
    readonly model: string;
    readonly hook: string;
    readonly windowLength: number;
    readonly trainingTokens: number;
    readonly heldOutTokens: number;
    readonly crossEntropyTokens: number;
  };
  readonly measures: readonly Measures[];
  /** Of a training step against TopK's at the largest k. */
  readonly cost: Readonly<Record<string, Ratio>>;
}

export interface ExperimentSettings {
  readonly features: number; // F
  readonly k: number; // K_max
  readonly batch: number; // B
  readonly tokens: number;
  readonly learningRate: number;
  readonly auxiliaryK: number;
  readonly deadTokens: number;
  readonly seeds: number;
}

/** The measures of one kind of SAE, by seed. */
export function ofContender({ measures }: Results, name: string): readonly Measures[] {
  return measures.filter(({ contender }) => contender === name);
}

/** EV of the k strongest features; between two whole k's on the line through both. */
export function evAt({ strongest: { ev } }: Measures, k: number): number {
  const at = (whole: number): number => ev[whole - 1] ?? NaN;
  const below = Math.floor(k);
  return k === below ? at(k) : at(below) + (k - below) * (at(below + 1) - at(below));
}

/** CE score of the k strongest features; between two measured k's on the line over log k. */
export function ceScoreAt({ strongest: { ce } }: Measures, k: number): number {
  const exact = ce[k]?.score;
  if (exact !== undefined) return exact;
  const ks = Object.keys(ce).map(Number);
  const below = Math.max(...ks.filter(other => other < k));
  const above = Math.min(...ks.filter(other => other > k));
  const [from = NaN, to = NaN] = [ce[below]?.score, ce[above]?.score];
  return from + (Math.log(k / below) / Math.log(above / below)) * (to - from);
}

/** One difference per seed that both have. */
export function paired(
  one: readonly Measures[],
  other: readonly Measures[],
  value: (measures: Measures, partner: Measures) => number,
): number[] {
  return one.flatMap(measures => {
    const partner = other.find(({ seed }) => seed === measures.seed);
    const difference = partner ? value(measures, partner) : NaN;
    return Number.isFinite(difference) ? [difference] : [];
  });
}
