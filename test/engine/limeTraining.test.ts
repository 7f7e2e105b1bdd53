import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { armNamed } from '../../bench/papers/lime/cell.ts';
import { LossGraph } from '../../bench/papers/lime/lossGraph.ts';
import { sizeOf, valuesOf } from '../../bench/papers/lime/parameters.ts';
import { takeStep } from '../../bench/papers/lime/step.ts';

type ByName = Readonly<Record<string, readonly number[]>>;

/** Made by test/fixtures/makeLimeTrainingGoldens.py: the authors' model and torch.optim.AdamW, in float64. */
interface Golden {
  readonly shape: Record<
    'layers' | 'width' | 'feedForward' | 'heads' | 'keyValueHeads' | 'headWidth' | 'vocabulary',
    number
  >;
  readonly length: number; // T + 1
  readonly windows: number;
  readonly rates: readonly number[];
  readonly losses: readonly number[];
  readonly norms: readonly number[];
  /** Every fifth element, of the clipped gradients in the first step and of the weights after the last. */
  readonly gradients: ByName;
  readonly weights: ByName;
}

describe('Training a LIMe model', () => {
  let golden: Golden;
  let graph: LossGraph;
  before(async () => {
    const path = new URL('../fixtures/lime/training.json', import.meta.url);
    golden = JSON.parse(await readFile(path, 'utf8')) as Golden;
    const config = { name: 'tiny', contextLength: golden.length - 1, ropeTheta: 10000 };
    const more = { normEpsilon: 2 ** -17, tiedEmbedding: true, architecture: 'lime' } as const;
    graph = await LossGraph.open({ ...golden.shape, ...config, ...more }, 1);
  });
  after(() => graph.dispose());

  it("goes as the authors' code with PyTorch's AdamW: losses, every gradient, weights", async t => {
    const { parameters } = graph;
    const weights = drawn();
    const moments = {
      first: new Float32Array(weights.length),
      second: new Float32Array(weights.length),
    };
    let worst = 0;
    const compare = (what: string, flat: Float32Array, expected: ByName): void => {
      assert.deepEqual(
        parameters.map(({ name }) => name),
        Object.keys(expected),
      );
      for (const parameter of parameters) {
        const actual = [...valuesOf(flat, parameter)].filter((_, i) => i % 5 === 0);
        const error = relativeError(actual, expected[parameter.name] ?? []);
        assert.ok(error < 5e-5, `${what} of ${parameter.name}: ${error}`);
        worst = Math.max(worst, error);
      }
    };
    const gradient = new Float32Array(weights.length);
    const arm = armNamed('lime');
    for (const [i, rate] of golden.rates.entries()) {
      const trainee = { weights, moments, gradient };
      const { loss, norm } = await takeStep(graph, trainee, windowsOf(i), {
        arm,
        step: i + 1,
        rate,
      });
      close(loss, golden.losses[i]);
      close(norm, golden.norms[i]);
      if (i === 0) compare('gradient', gradient, golden.gradients);
    }
    compare('weights', weights, golden.weights);
    t.diagnostic(`largest error, relative to the largest element: ${worst.toExponential(1)}`);
  });

  /** The golden script's weights, in its order. */
  function drawn(): Float32Array {
    const flat = new Float32Array(sizeOf(graph.parameters));
    let state = 1;
    for (const parameter of graph.parameters) {
      const values = valuesOf(flat, parameter);
      for (let i = 0; i < values.length; i++) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        values[i] = (state >>> 8) / 2 ** 24 - 0.5 + (parameter.kind === 'gain' ? 1 : 0);
      }
    }
    return flat;
  }

  /** The golden script's tokens in a step. */
  function windowsOf(step: number): Uint32Array[] {
    return Array.from({ length: golden.windows }, (_, w) =>
      Uint32Array.from(
        { length: golden.length },
        (_, t) => (5 * t * t + 3 * t + 7 * w + 11 * step) % golden.shape.vocabulary,
      ),
    );
  }
});

function close(actual: number, expected = NaN): void {
  assert.ok(Math.abs(actual / expected - 1) < 1e-5, `${actual}, expected ${expected}`);
}

/** The largest difference, relative to the largest expected element. */
function relativeError(actual: readonly number[], expected: readonly number[]): number {
  assert.equal(actual.length, expected.length);
  const largest = Math.max(...expected.map(Math.abs));
  const errors = expected.map((value, i) => Math.abs(value - (actual[i] ?? NaN)) / largest);
  return errors.some(Number.isNaN) ? Infinity : Math.max(...errors);
}
