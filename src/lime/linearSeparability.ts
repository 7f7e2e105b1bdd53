import type { Random } from '../common/random.ts';
import { batchRows, type LabelledRows, LinearClassifier } from './linearClassifier.ts';

export interface SeparabilityOptions {
  readonly folds: number;
  readonly epochs: number;
}

/** Accuracies of the folds: their mean and their standard deviation. */
export interface Separability {
  readonly mean: number;
  readonly deviation: number;
}

/** Steps of one epoch of the authors' measurement: 1,668 rows of each of four words, in five folds. */
const authorsSteps = Math.ceil((1668 * 4 * 0.8) / batchRows);

/** The authors' one epoch, or as many as take their number of steps where there are fewer rows. */
export function epochsFor(rows: number, folds: number): number {
  return Math.ceil(authorsSteps / stepsOfEpoch(rows, folds));
}

/** Steps of one epoch with all folds but one of `rows` rows. */
export function stepsOfEpoch(rows: number, folds: number): number {
  return Math.ceil((rows - Math.floor(rows / folds)) / batchRows);
}

/**
 * How well a linear classifier tells the classes apart, on rows that it was not trained on: k folds in random order, each
 * tested on a classifier that the others trained. Source: arXiv 2502.09245, section 4; corl-team/lime,
 * src/analysis/classification.py (Adam at 1e-2, batches of 64, one epoch, five folds).
 */
export function linearSeparability(
  data: LabelledRows,
  { folds, epochs }: SeparabilityOptions,
  random: Random,
): Separability {
  const accuracies = foldsOf(data.labels.length, folds, random).map(test => {
    const classifier = LinearClassifier.random(data, random);
    const train = others(data.labels.length, test);
    for (let epoch = 0; epoch < epochs; epoch++) trainEpoch(classifier, random.shuffle(train));
    return classifier.accuracy(test);
  });
  return spread(accuracies);
}

/** One step for every 64 rows, in the order given. */
export function trainEpoch(classifier: LinearClassifier, order: Uint32Array): void {
  for (let first = 0; first < order.length; first += batchRows) {
    classifier.step(order.subarray(first, first + batchRows));
  }
}

/** Row numbers of each fold, ascending; the first folds have one row more where `rows` cannot be divided. */
function foldsOf(rows: number, folds: number, random: Random): Uint32Array[] {
  const order = random.shuffle(Uint32Array.from({ length: rows }, (_, i) => i));
  let end = 0;
  return Array.from({ length: folds }, (_, fold) => {
    const start = end;
    end += Math.floor(rows / folds) + (fold < rows % folds ? 1 : 0);
    return order.slice(start, end).sort();
  });
}

function others(rows: number, test: Uint32Array): Uint32Array {
  const isTest = new Set(test);
  return Uint32Array.from({ length: rows }, (_, i) => i).filter(row => !isTest.has(row));
}

/** Mean and standard deviation of the whole population, as numpy's. */
export function spread(values: readonly number[]): Separability {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / values.length) };
}
