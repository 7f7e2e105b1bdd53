import type { PlanChoice } from '../../contracts/trainingPanel.ts';
import type { Training } from './training.ts';
import { confirmDeletion, confirmReplacement } from './trainingNotices.ts';

/** Queues the planned training, once the user agrees to what it replaces. */
export async function startPlanned(training: Training, choice: PlanChoice): Promise<void> {
  const { planner, reports } = training.here();
  const name = planner.state?.name;
  if (name === undefined) return;
  const isTaken = reports.all.some(({ domain }) => sameName(domain, name));
  if (isTaken && !(await confirmReplacement(name))) return;
  await training.start(choice);
}

/** Ends a training and deletes what it has learnt, once the user agrees. */
export async function cancelTraining(training: Training, id: string): Promise<void> {
  const { queue } = training.here();
  const job = queue.all.find(candidate => candidate.id === id);
  if (!job) return;
  const isBegun = job.status === 'running' || job.status === 'paused';
  if (!isBegun || (await confirmDeletion(job, 'Stop'))) await queue.cancel(id);
}

/** Takes a training that has ended off the list. */
export async function removeTraining(training: Training, id: string): Promise<void> {
  const { queue } = training.here();
  const job = queue.all.find(candidate => candidate.id === id);
  if (!job) return;
  if (job.status !== 'failed' || (await confirmDeletion(job, 'Remove'))) await queue.remove(id);
}

/** Folders do not tell letters from capitals on every system. */
export function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
