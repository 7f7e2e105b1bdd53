import type { RouterFitRequest } from '../../contracts/routerFit.ts';
import type { PlanChoice } from '../../contracts/trainingPanel.ts';
import type { Training } from './training.ts';
import type { TrainingTask } from './trainingJob.ts';
import { confirmDeletion, confirmReplacement } from './trainingNotices.ts';

/** Queues the planned training, once the user agrees to what it replaces. */
export async function startPlanned(training: Training, choice: PlanChoice): Promise<void> {
  const { planner, reports } = training.here();
  const name = planner.state?.name;
  if (name === undefined) return;
  const taken = reports.all.map(({ domain }) => domain);
  if (!(await mayReplace('residual', name, taken))) return;
  await training.start(choice);
}

/** Queues a fit of routers, once the user agrees to what it replaces; resolves to whether it is queued. */
export async function startFit(training: Training, request: RouterFitRequest): Promise<boolean> {
  const taken = await training.fittedNames();
  if (!(await mayReplace('routers', request.name, taken))) return false;
  await training.here().queue.add({ kind: 'routers', request });
  return true;
}

/** What lies under the name of a new training is deleted: whether there is nothing, or the user agrees. */
async function mayReplace(
  kind: TrainingTask['kind'],
  name: string,
  taken: readonly string[],
): Promise<boolean> {
  return !taken.some(other => sameName(other, name)) || (await confirmReplacement(kind, name));
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
