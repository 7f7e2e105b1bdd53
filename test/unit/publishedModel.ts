import assert from 'node:assert/strict';
import { architectures } from '../../src/models/architectures/all.ts';
import { ConfigFields } from '../../src/models/configFields.ts';
import type { ModelConfig } from '../../src/models/model.ts';
import { rotationsOf } from '../../src/models/rotary.ts';

/*
 * The config.json of published models, as they stand on the Hub: in the keys of the transformers of their time. What is
 * expected of them is what transformers 5.23 makes of them.
 */

export function read(config: Readonly<Record<string, unknown>>): ModelConfig {
  const type = String(config['model_type']);
  const found = architectures.find(({ folder }) => folder.types.includes(type));
  assert.ok(found);
  return found.folder.config(new ConfigFields(config, 'config.json'), 'any');
}

export interface Expected {
  /** Layers, width, feed-forward, heads, key-value heads, head width, vocabulary, context. */
  readonly shape: readonly number[];
  readonly epsilon: number;
  readonly tied: boolean;
  /** By rotation: values that turn, radians per position of the second and of the last pair, factor of cosines. */
  readonly turns: readonly (readonly [
    width: number,
    second: number,
    last: number,
    scale: number,
  ])[];
  /** Tokens, and the layers that have no window; absent: no window. */
  readonly window?: readonly [tokens: number, without: readonly number[]];
  readonly others?: ModelConfig['departures'];
}

export function check(config: Readonly<Record<string, unknown>>, expected: Expected): void {
  const model = read(config);
  const { layers, width, feedForward, heads, keyValueHeads, headWidth, vocabulary } = model;
  assert.deepEqual(
    [
      ...[layers, width, feedForward, heads, keyValueHeads, headWidth, vocabulary],
      model.contextLength,
    ],
    expected.shape,
  );
  assert.equal(model.normEpsilon, expected.epsilon);
  assert.equal(model.tiedEmbedding, expected.tied);
  const rotations = rotationsOf(model);
  assert.equal(rotations.length, expected.turns.length);
  for (const [i, [turned, second, last, scale]] of expected.turns.entries()) {
    const rotation = rotations[i] ?? assert.fail();
    assert.equal(rotation.width, turned);
    assert.equal(rotation.frequencies.length, turned / 2);
    near(rotation.frequencies[1], second);
    near(rotation.frequencies.at(-1), last);
    near(rotation.scale, scale);
  }
  const { window, ...others } = { ...model.departures, rotations: undefined };
  assert.deepEqual(
    window && [window.tokens, window.layers.flatMap((isLocal, layer) => (isLocal ? [] : [layer]))],
    expected.window,
  );
  assert.deepEqual(others, { ...expected.others, rotations: undefined });
}

function near(actual: number | undefined, expected: number): void {
  assert.ok(
    actual !== undefined && Math.abs(actual / expected - 1) < 1e-6,
    `${actual}: ${expected}`,
  );
}

/** Of theta^(-2i / width): the second and the last. */
export function plain(width: number, theta: number, slower = 1): [number, number, number, number] {
  return [width, theta ** (-2 / width) / slower, theta ** (2 / width - 1) / slower, 1];
}

export const every = (step: number, layers: number) =>
  Array.from({ length: layers }, (_, layer) => layer).filter(layer => (layer + 1) % step === 0);
