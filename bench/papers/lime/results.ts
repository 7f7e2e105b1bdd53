import type { Settings, Trained } from './cell.ts';
import type { SpeedResult } from './speed.ts';

/** A training's held-out loss so far. */
export type Curve = Pick<Trained, 'arm' | 'seed' | 'heldOut'>;

/** Everything that docs/results/lime.json keeps. */
export interface Results {
  readonly command: string;
  readonly circumstances: string;
  readonly settings: Settings;
  readonly text: {
    readonly trainTokens: number;
    readonly heldOutTokens: number;
    readonly unitsPerToken: number;
  };
  readonly trained: readonly Trained[];
  /** Trainings under way. */
  readonly unfinished: readonly Curve[];
  readonly speed: SpeedResult | undefined;
}

/** With no more digits than the results have. */
export function rounded(results: Results): Results {
  return JSON.parse(
    JSON.stringify(results, (_, value: unknown) =>
      typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value,
    ),
  ) as Results;
}

export function ofArm({ trained }: Results, arm: string): Trained[] {
  return trained.filter(one => one.arm === arm);
}

/** `measure` of one arm minus that of another of the same seed, by seed. */
export function paired(
  results: Results,
  arm: string,
  other: string,
  measure: (one: Trained) => number,
): number[] {
  return ofArm(results, arm).flatMap(one => {
    const its = ofArm(results, other).find(({ seed }) => seed === one.seed);
    return its ? [measure(one) - measure(its)] : [];
  });
}

export function perplexity({ ce }: Pick<Trained, 'ce'>): number {
  return Math.exp(ce);
}

/** The step at which a model's held-out loss comes down to a value, between two points on a straight line. */
export function reachedAt({ heldOut }: Pick<Trained, 'heldOut'>, ce: number): number | undefined {
  const after = heldOut.findIndex(point => point.ce <= ce);
  const [low, high] = [heldOut[after - 1], heldOut[after]];
  if (!low || !high) return high?.step;
  return low.step + ((low.ce - ce) / (low.ce - high.ce)) * (high.step - low.step);
}
