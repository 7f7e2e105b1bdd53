import type { DomainPart } from '../../contracts/engine.ts';
import { outputWidthOf, type Dictionary } from '../../saes/dictionary.ts';
import { readings } from '../../saes/readingGraph.ts';
import { residualReadings, type Residual } from '../../saes/residualsGraph.ts';
import type { SaeReading } from './saeReading.ts';
import type { CellStatistics } from '../analysis/cellStatistics.ts';
import { cellLength } from '../analysis/windows.ts';
import { float32Values, indexValues, type Tensor } from '../sessions/tensors.ts';

/** What a run of a reading graph gives. */
export type Outputs = Readonly<Record<string, Tensor>>;

/** What the features of a residual SAE do in the rows of one run, by as many ranks as it takes. */
interface Firing {
  readonly row: number;
  readonly k: number;
  readonly features: Uint32Array; // (t, k)
  readonly activations: Float32Array;
}

/** The reading of `tokens` rows, run by run. */
export class RunReadings {
  private readonly dictionary: Dictionary;
  private readonly residuals: readonly Residual[];
  private readonly tokens: number;
  private readonly reading;
  /** Of each domain. */
  private readonly products: readonly Float32Array[]; // n times (T, K)
  private readonly firing: readonly Firing[][];

  constructor(dictionary: Dictionary, residuals: readonly Residual[], tokens: number, k: number) {
    this.dictionary = dictionary;
    this.residuals = residuals;
    this.tokens = tokens;
    this.reading = {
      k,
      features: new Uint32Array(tokens * k),
      activations: new Float32Array(tokens * k),
      squaredError: new Float32Array(tokens * k),
      gram: new Float32Array(tokens * residuals.length ** 2),
      cells: [] as CellStatistics[],
    };
    this.products = residuals.map(() => new Float32Array(tokens * k));
    this.firing = residuals.map(() => []);
  }

  /** Of the rows from `row` on; `leavesOutFirst`: that one counts in no statistic. */
  add(outputs: Outputs, row: number, leavesOutFirst: boolean): void {
    const { reading } = this;
    reading.features.set(indexValues(outputs[readings.features]), row * reading.k);
    for (const name of ['activations', 'squaredError'] as const) {
      reading[name].set(float32Values(outputs[readings[name]]), row * reading.k);
    }
    reading.cells.push(...this.statistics(outputs, leavesOutFirst));
    if (this.residuals.length > 0) this.addDomains(outputs, row);
  }

  whole(): SaeReading {
    return { ...this.reading, domains: this.residuals.map((_, i) => this.domain(i)) };
  }

  private addDomains(outputs: Outputs, row: number): void {
    const { reading, residuals } = this;
    const n = residuals.length;
    reading.gram.set(float32Values(outputs[residualReadings.gram]), row * n ** 2);
    const together = float32Values(outputs[residualReadings.products]); // (t, K, n)
    for (const [i, products] of this.products.entries()) {
      const from = row * reading.k;
      for (let j = 0; j < together.length / n; j++) products[from + j] = together[j * n + i] ?? NaN;
      const features = outputs[residualReadings.features(i)];
      this.firing[i]?.push({
        ...{ row, k: features?.dims[1] ?? 0, features: indexValues(features) },
        activations: float32Values(outputs[residualReadings.activations(i)]),
      });
    }
  }

  /** As wide as the run with the most that fire. */
  private domain(i: number): DomainPart {
    const [runs, first] = [this.firing[i] ?? [], this.residuals[i]?.first ?? 0];
    const k = Math.max(0, ...runs.map(run => run.k));
    const features = new Uint32Array(this.tokens * k).fill(first);
    const activations = new Float32Array(this.tokens * k);
    for (const run of runs) {
      for (let j = 0; j < run.features.length; j++) {
        const at = (run.row + Math.floor(j / run.k)) * k + (j % run.k);
        features[at] = first + (run.features[j] ?? 0);
        activations[at] = run.activations[j] ?? 0;
      }
    }
    return { k, features, activations, products: this.products[i] ?? new Float32Array() };
  }

  private statistics(outputs: Outputs, leavesOutFirst: boolean): CellStatistics[] {
    const O = outputWidthOf(this.dictionary);
    const of = (name: 'squaredNorm' | 'within' | 'sums') => float32Values(outputs[readings[name]]);
    const [squaredNorm, within, sums] = [of('squaredNorm'), of('within'), of('sums')];
    const excluded = Uint8Array.from(within, (is, row) =>
      is && !(leavesOutFirst && row === 0) ? 0 : 1,
    );
    return Array.from({ length: sums.length / O }, (_, cell) => {
      const rows = [cell * cellLength, (cell + 1) * cellLength] as const;
      return {
        excluded: excluded.slice(...rows),
        squaredNorm: Float64Array.from(squaredNorm.subarray(...rows)),
        sum: Float64Array.from(sums.subarray(cell * O, (cell + 1) * O)),
      };
    });
  }
}
