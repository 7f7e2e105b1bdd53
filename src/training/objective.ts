import { Failure } from '../common/failure.ts';

/** Names of the objectives of the command line's contract. */
const objectiveNames = ['hierarchical', 'topk', 'batchtopk', 'jumprelu'] as const;
export type ObjectiveName = (typeof objectiveNames)[number];

/** Which prefixes of a sample's activations are reconstructions that the loss measures. */
export interface Budgets {
  /** (M) ascending; the last is K. */
  readonly ends: Uint32Array;
  /** (M) what each counts in the loss; they sum to 1. */
  readonly weights: Float32Array;
}

/**
 * The prefixes of an objective with K activations. HierarchicalTopK (arXiv 2505.24473): every prefix 1..K with equal
 * weight, or the given budgets; plain TopK (Gao et al., arXiv 2406.04093) and what has a threshold: all that fire.
 */
export function budgetsOf(
  objective: ObjectiveName,
  k: number,
  budgets?: readonly number[],
): Budgets {
  switch (objective) {
    case 'topk':
    case 'batchtopk':
    case 'jumprelu':
      return { ends: Uint32Array.of(k), weights: Float32Array.of(1) };
    case 'hierarchical': {
      const ends = budgets
        ? checkedBudgets(budgets, k)
        : Uint32Array.from({ length: k }, (_, j) => j + 1);
      return { ends, weights: new Float32Array(ends.length).fill(1 / ends.length) };
    }
  }
}

/** Per sample, candidates for firing in an objective in which a sample may have more than K: so many times K, and no fewer. */
const candidatesPerK = 4;
const fewestCandidates = 32;

/** Candidates of each sample, K': the strongest features, of which the objective chooses. */
export function candidatesOf(objective: ObjectiveName, k: number, features: number): number {
  return hasThreshold(objective)
    ? Math.min(features, Math.max(candidatesPerK * k, fewestCandidates))
    : k;
}

/** Whether the trained SAE fires by a threshold and not by rank. */
export function hasThreshold(objective: ObjectiveName): boolean {
  return objective === 'batchtopk' || objective === 'jumprelu';
}

function checkedBudgets(budgets: readonly number[], k: number): Uint32Array {
  const ends = Uint32Array.from(new Set(budgets)).sort();
  if (ends.length === 0 || ends[0] === 0 || ends.at(-1) !== k) {
    throw new Failure(
      'usage',
      `The budgets of a hierarchical objective are numbers from 1 to k = ${k}, the last of them ${k}; got ${budgets.join(', ')}.`,
    );
  }
  return ends;
}

export function parseObjective(name: string): ObjectiveName {
  const found = objectiveNames.find(known => known === name);
  if (!found) {
    throw new Failure('usage', `There is no objective ${name}.`, {
      action: `Choose one of ${objectiveNames.join(', ')}.`,
    });
  }
  return found;
}
