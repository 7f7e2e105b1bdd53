import type { ObjectiveName } from '../../../src/training/objective.ts';

/** A kind of SAE that the experiment trains, once per seed. */
export interface Contender {
  /** Also of its folder. */
  readonly name: string;
  readonly label: string;
  readonly objective: ObjectiveName;
  /** K of the training: its only k, or the largest. */
  readonly k: number;
  /** The prefix set J of a hierarchical SAE; undefined: 1..K, or the objective has none. */
  readonly budgets: readonly number[] | undefined;
}

/** The one SAE for every k that all others are compared with. */
export const hierarchical = 'hierarchical';

/** Every kind: J = 1..K, J = powers of two, J = {K}, which is TopK at K; TopK and BatchTopK each at its own k. */
export function contenders(kMax: number): readonly Contender[] {
  const fixed = powersOfTwo(8, kMax);
  return [
    {
      name: hierarchical,
      label: 'hierarchical, J = all',
      objective: 'hierarchical',
      k: kMax,
      budgets: undefined,
    },
    {
      name: 'hierarchical-powers',
      label: 'hierarchical, J = powers of 2',
      objective: 'hierarchical',
      k: kMax,
      budgets: powersOfTwo(1, kMax),
    },
    ...fixed.map(k => fixedSparsity('topk', 'TopK', k)),
    ...fixed.map(k => fixedSparsity('batchtopk', 'BatchTopK', k)),
  ];
}

function fixedSparsity(objective: 'topk' | 'batchtopk', title: string, k: number): Contender {
  return {
    name: `${objective}-${k}`,
    label: `${title} k = ${k}`,
    objective,
    k,
    budgets: undefined,
  };
}

/** From `first`, itself a power, to `last`, which is included whatever it is. */
export function powersOfTwo(first: number, last: number): readonly number[] {
  const powers: number[] = [];
  for (let k = first; k < last; k *= 2) powers.push(k);
  return [...powers, last];
}
