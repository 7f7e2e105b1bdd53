import { Random } from '../../../src/common/random.ts';
import { identityRouter } from '../../../src/models/lime.ts';
import type { ModelConfig } from '../../../src/models/model.ts';

/** What decides how a weight is drawn and trained. */
export type Kind = 'embedding' | 'matrix' | 'gain' | 'router';

export interface Parameter {
  readonly name: string;
  readonly kind: Kind;
  readonly shape: readonly number[];
  /** Of its first value among those of the model, one after the other. */
  readonly offset: number;
  readonly length: number;
  /** Of the layer, where it has one. */
  readonly layer: number;
}

/** The weights of a Llama or LIMe model with a tied embedding, in the order of one flat array. */
export function parametersOf(config: ModelConfig): readonly Parameter[] {
  const { layers, width, feedForward, heads, keyValueHeads, headWidth, vocabulary } = config;
  const [queries, keys] = [heads * headWidth, keyValueHeads * headWidth];
  const parameters: Parameter[] = [];
  let offset = 0;
  const add = (kind: Kind, name: string, shape: readonly number[], layer = -1): void => {
    const length = shape.reduce((product, size) => product * size, 1);
    parameters.push({ name, kind, shape, offset, length, layer });
    offset += length;
  };
  add('embedding', 'embed', [vocabulary, width]);
  for (let layer = 0; layer < layers; layer++) {
    const one = (kind: Kind, part: string, ...shape: number[]): void =>
      add(kind, `blocks.${layer}.${part}`, shape, layer);
    one('gain', 'attentionNorm', width);
    one('matrix', 'query', queries, width);
    one('matrix', 'key', keys, width);
    one('matrix', 'value', keys, width);
    one('matrix', 'attentionOut', width, queries);
    one('gain', 'feedForwardNorm', width);
    one('matrix', 'gate', feedForward, width);
    one('matrix', 'up', feedForward, width);
    one('matrix', 'down', width, feedForward);
    if (config.architecture === 'lime' && layer > 0)
      one('router', 'router', keyValueHeads, (layer + 1) * keyValueHeads);
  }
  add('gain', 'finalNorm', [width]);
  return parameters;
}

export function sizeOf(parameters: readonly Parameter[]): number {
  return parameters.reduce((sum, { length }) => sum + length, 0);
}

/** The values of one parameter within the flat array: the same memory. */
export function valuesOf(flat: Float32Array, { offset, length }: Parameter): Float32Array {
  return flat.subarray(offset, offset + length);
}

/** Wide enough that the residual stream does not begin much smaller than what layers add to it. */
const embeddingDeviation = 0.08;

/**
 * Initial weights. Matrices are normal with a variance of 1 / (3 inputs), that of the authors' initial keys and values;
 * gains 1. Each weight has its own random numbers, by seed and name, so that models of one seed begin alike where they
 * have the same weights.
 */
export function initialWeights(parameters: readonly Parameter[], seed: number): Float32Array {
  const flat = new Float32Array(sizeOf(parameters));
  for (const parameter of parameters) {
    const values = valuesOf(flat, parameter);
    const random = new Random(hash(`${seed}/${parameter.name}`));
    if (parameter.kind === 'gain') values.fill(1);
    else if (parameter.kind === 'router') values.set(initialRouter(parameter, random));
    else {
      const [, inputs = 1] = parameter.shape;
      const deviation =
        parameter.kind === 'embedding' ? embeddingDeviation : 1 / Math.sqrt(3 * inputs);
      for (let i = 0; i < values.length; i++) values[i] = deviation * random.normal();
    }
  }
  return flat;
}

/**
 * The identity for the layer's own heads, U(-b, b) for all others with b = sqrt(3 / (l H)).
 * Source: corl-team/lime, src/lm/lime.py, StaticRouter.
 */
function initialRouter({ layer, shape }: Parameter, random: Random): Float32Array {
  const [heads = 0, columns = 0] = shape;
  const router = identityRouter(layer, heads);
  const bound = Math.sqrt(3 / columns);
  for (let i = 0; i < router.length; i++)
    if (i % columns < layer * heads) router[i] = bound * (2 * random.uniform() - 1);
  return router;
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
