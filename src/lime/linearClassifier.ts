import type { Random } from '../common/random.ts';

/** Rows to tell apart. */
export interface LabelledRows {
  readonly rows: Float32Array; // (N, width)
  readonly width: number;
  /** The class of each row, from 0 (N). */
  readonly labels: Uint32Array;
  readonly classes: number;
}

/** Rows of a step, and of the batches by which accuracy is counted. */
export const batchRows = 64;

const [learningRate, beta1, beta2, epsilon] = [1e-2, 0.9, 0.999, 1e-8];

/** softmax(W x + b), trained by Adam on the mean cross-entropy of a batch. Source: Kingma and Ba 2015, arXiv 1412.6980. */
export class LinearClassifier {
  /** (classes, width + 1): each class's row of W, then its b. */
  readonly weights: Float64Array;
  private readonly data: LabelledRows;
  private readonly gradient: Float64Array;
  private readonly first: Float64Array;
  private readonly second: Float64Array;
  private steps = 0;

  constructor(data: LabelledRows, weights: Float64Array) {
    this.data = data;
    this.weights = weights;
    this.gradient = new Float64Array(weights.length);
    this.first = new Float64Array(weights.length);
    this.second = new Float64Array(weights.length);
  }

  /** Weights uniform in +-1 / sqrt(width), as torch.nn.Linear begins. */
  static random(data: LabelledRows, random: Random): LinearClassifier {
    const bound = 1 / Math.sqrt(data.width);
    const weights = new Float64Array(data.classes * (data.width + 1));
    return new LinearClassifier(
      data,
      weights.map(() => bound * (2 * random.uniform() - 1)),
    );
  }

  /** One step on the rows of these numbers. */
  step(rows: Uint32Array): void {
    const { gradient, weights, first, second } = this;
    gradient.fill(0);
    for (const row of rows) this.addGradient(row, rows.length);
    this.steps++;
    const rate = learningRate / (1 - beta1 ** this.steps);
    const correction = Math.sqrt(1 - beta2 ** this.steps);
    gradient.forEach((g, i) => {
      const m = (first[i] = beta1 * (first[i] ?? NaN) + (1 - beta1) * g);
      const v = (second[i] = beta2 * (second[i] ?? NaN) + (1 - beta2) * g * g);
      weights[i] = (weights[i] ?? NaN) - (rate * m) / (Math.sqrt(v) / correction + epsilon);
    });
  }

  /** The share of the rows whose own class is the likeliest; as the authors take it, the mean over batches. */
  accuracy(rows: Uint32Array): number {
    const shares: number[] = [];
    for (let start = 0; start < rows.length; start += batchRows) {
      const batch = rows.subarray(start, start + batchRows);
      const right = batch.filter(row => likeliest(this.logits(row)) === this.data.labels[row]);
      shares.push(right.length / batch.length);
    }
    return shares.reduce((sum, share) => sum + share, 0) / shares.length;
  }

  private addGradient(row: number, batch: number): void {
    const { gradient, data } = this;
    const { width, labels } = data;
    const x = this.row(row);
    const logits = this.logits(row);
    const largest = Math.max(...logits);
    const exponentials = logits.map(logit => Math.exp(logit - largest));
    const sum = exponentials.reduce((a, b) => a + b, 0);
    for (const [label, exponential] of exponentials.entries()) {
      const error = (exponential / sum - (label === labels[row] ? 1 : 0)) / batch;
      const start = label * (width + 1);
      for (let i = 0; i < width; i++) {
        gradient[start + i] = (gradient[start + i] ?? NaN) + error * (x[i] ?? NaN);
      }
      gradient[start + width] = (gradient[start + width] ?? NaN) + error;
    }
  }

  private logits(row: number): Float64Array {
    const { weights, data } = this;
    const { width, classes } = data;
    const x = this.row(row);
    return Float64Array.from({ length: classes }, (_, label) => {
      const start = label * (width + 1);
      let sum = weights[start + width] ?? NaN;
      for (let i = 0; i < width; i++) sum += (weights[start + i] ?? NaN) * (x[i] ?? NaN);
      return sum;
    });
  }

  private row(row: number): Float32Array {
    const { rows, width } = this.data;
    return rows.subarray(row * width, (row + 1) * width);
  }
}

/** The first of the largest. */
function likeliest(logits: Float64Array): number {
  return logits.reduce((best, value, i) => (value > (logits[best] ?? NaN) ? i : best), 0);
}
