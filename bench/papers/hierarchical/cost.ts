import { ratio, takeTurns, type Ratio } from '../../parts/contestants.ts';
import { trainingStep, type StepShape } from '../../parts/trainingSteps.ts';
import { contenders } from './contenders.ts';

const [rounds, warmUp] = [15, 3];

/** What a training step of each kind takes against one of TopK at the largest k, measured by turns. */
export async function stepCosts(shape: StepShape): Promise<Record<string, Ratio>> {
  const kinds = contenders(shape.k);
  const reference = `topk-${shape.k}`;
  const steps = [];
  for (const { name, objective, budgets, k } of kinds)
    steps.push(await trainingStep(name, { ...shape, k }, { objective, budgets }));
  const times = await takeTurns(steps, { rounds, warmUp });
  return Object.fromEntries(kinds.map(({ name }) => [name, ratio(times, name, reference)]));
}
