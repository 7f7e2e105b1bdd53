import type { Arm } from './arms.ts';

/** A base, or a base and residual SAEs, on held-out text. */
export interface TextMeasures {
  readonly ev: number;
  readonly l0: number;
  /** Of these, features of residual SAEs. */
  readonly residualL0: number;
  /** Nats per token; of fewer tokens than the others. */
  readonly ce?: { readonly clean: number; readonly zero: number; readonly sae: number };
}

/** What is made of a training: as it is, its threshold calibrated, or its most changed features taken over by the base. */
export type Variant = 'plain' | 'calibrated' | 'appended' | 'exchanged';

export interface Row extends Arm {
  readonly variant: Variant;
  readonly domainText: TextMeasures;
  readonly generalText: TextMeasures;
  /** Fraction of features that had not fired lately at the end of the training. */
  readonly dead: number;
}

/** Residual SAEs of several domains added up, by the text that they are measured on. */
export interface SumRow {
  readonly domains: readonly string[];
  readonly variant: Variant;
  readonly texts: Readonly<Record<string, TextMeasures>>;
}

/** Everything that tables and plots are made of; boost.json. */
export interface Results {
  /** The command, when and where it ran. */
  readonly command: string;
  readonly circumstances: string;
  readonly settings: {
    readonly width: number; // F of residual SAEs
    readonly k: number; // k_res of the paper
    readonly tokens: number;
  };
  readonly material: {
    readonly model: string;
    readonly base: string;
    readonly hook: string;
    readonly baseWidth: number; // F
    readonly baseK: number;
    readonly windowLength: number;
    readonly domains: readonly string[];
    /** Of a domain; more are several passes. */
    readonly trainingTokens: number;
    readonly heldOutTokens: number;
    readonly crossEntropyTokens: number;
  };
  /** The base alone, by text. */
  readonly base: Readonly<Record<string, TextMeasures>>;
  readonly rows: readonly Row[];
  readonly sums: readonly SumRow[];
}

/** The base alone on a text; fails where it was not measured. */
export function baseOn({ base }: Results, text: string): TextMeasures {
  const found = base[text];
  if (!found) throw new Error(`the base was not measured on ${text}`);
  return found;
}

/** (value - base) / base */
export function relativeChange(value: number, base: number): number {
  return (value - base) / base;
}

/** Nats that the model loses, against the base's. */
export function deltaCeChange(measures: TextMeasures, base: TextMeasures): number {
  const delta = ({ ce }: TextMeasures): number => (ce ? ce.sae - ce.clean : NaN);
  return relativeChange(delta(measures), delta(base));
}
