import { formatChange, formatDecimal, formatPercent } from '../common/numbers.ts';
import type { BoostMeasure, ReportVariant } from '../contracts/boostReport.ts';

/** Base, boosted and change on one text; '' where a cell means nothing. */
export interface MeasureCells {
  readonly base: string;
  readonly boosted: string;
  readonly change: string;
  /** Of the change, where there is one to judge: whether it is an improvement. */
  readonly better: boolean | null;
}

/** A line of the table that compares the base with the boosted SAE. */
export interface MeasureRow {
  readonly name: string;
  /** What the number is and how it is measured. */
  readonly meaning: string;
  readonly domain: MeasureCells;
  readonly general: MeasureCells;
}

/** The numbers of a variant, in the order in which they are read. */
export function measureRows({ domain, general }: ReportVariant): readonly MeasureRow[] {
  return measures.map(({ name, meaning, cells }) => ({
    name,
    meaning,
    domain: cells(domain, domainBound),
    general: cells(general, generalBound),
  }));
}

interface Measure {
  readonly name: string;
  readonly meaning: string;
  /** Relative changes below the bound are judged neither way. */
  readonly cells: (measure: BoostMeasure, bound: number) => MeasureCells;
}

const domainBound = 0.001;
/** The paper counts a loss on general text below 1 % as none. */
const generalBound = 0.01;

const measures: readonly Measure[] = [
  {
    name: 'EV',
    meaning: 'Explained variance: 1 − Σ|x − x̂|² / Σ|x − mean(x)|²',
    cells: ({ base, boosted, evChange }, bound) => ({
      base: formatDecimal(base.ev),
      boosted: formatDecimal(boosted.ev),
      ...judged(evChange, 1, bound),
    }),
  },
  {
    name: 'ΔCE',
    meaning: 'What the model loses when x̂ takes the place of x: cross-entropy over the clean one',
    cells: ({ base, boosted, deltaCeChange }, bound) => ({
      base: formatDecimal(base.deltaCe),
      boosted: formatDecimal(boosted.deltaCe),
      ...judged(deltaCeChange, -1, bound),
    }),
  },
  {
    name: 'CE',
    meaning: 'Cross-entropy with x̂ in the place of x, nats per token',
    cells: ({ base, boosted }) => ({
      base: formatDecimal(base.ce),
      boosted: formatDecimal(boosted.ce),
      change: '',
      better: null,
    }),
  },
  {
    name: 'CE, clean',
    meaning: 'Cross-entropy of the model as it is, nats per token',
    cells: ({ clean }) => alone(formatDecimal(clean)),
  },
  {
    name: 'CE, zero',
    meaning: 'Cross-entropy with zeros in the place of x, nats per token',
    cells: ({ zero }) => alone(formatDecimal(zero)),
  },
  {
    name: 'CE score',
    meaning: '(zero − CE) / (zero − clean)',
    cells: ({ base, boosted }) => ({
      base: formatDecimal(base.score),
      boosted: formatDecimal(boosted.score),
      change: '',
      better: null,
    }),
  },
  {
    name: 'L0',
    meaning: 'Mean active features per token, of the base and of the residual SAEs together',
    cells: ({ base, boosted }) => ({
      base: formatDecimal(base.l0, 1),
      boosted: formatDecimal(boosted.l0, 1),
      change: '',
      better: null,
    }),
  },
  {
    name: 'of it residual',
    meaning: 'Mean active features of the residual SAEs per token',
    cells: ({ boosted }) => ({
      base: '',
      boosted: formatDecimal(boosted.residualL0, boosted.residualL0 < 0.95 ? 2 : 1),
      change: '',
      better: null,
    }),
  },
];

/** A number that does not depend on the SAE. */
function alone(value: string): MeasureCells {
  return { base: value, boosted: value, change: '', better: null };
}

/** `goodSign`: 1 where more is better. */
function judged(
  change: number,
  goodSign: 1 | -1,
  bound: number,
): Pick<MeasureCells, 'change' | 'better'> {
  const isSmall = !Number.isFinite(change) || Math.abs(change) < bound;
  return { change: formatChange(change), better: isSmall ? null : change * goodSign > 0 };
}

/** The change that a report is about, in one sentence without markup. */
export function headline(name: string, { domain, general }: ReportVariant): string {
  const of = (measure: BoostMeasure): string =>
    `${formatDecimal(measure.base.ev)} → ${formatDecimal(measure.boosted.ev)} (${formatChange(measure.evChange)})`;
  return `EV on held-out ${name} text ${of(domain)}, on general text ${of(general)}.`;
}

/** Fraction of tokens on domain and on general text. */
export function densities(feature: {
  readonly domainDensity: number;
  readonly generalDensity: number;
}): string {
  return `${formatPercent(feature.domainDensity)} of domain tokens, ${formatPercent(feature.generalDensity)} of general ones`;
}
