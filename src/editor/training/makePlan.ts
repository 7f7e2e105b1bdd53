import { Failure } from '../../common/failure.ts';
import type { LoadProgress } from '../../contracts/engine.ts';
import type { TrainerContract } from '../../contracts/trainer.ts';
import type { Caller, CallOptions } from '../../messages/calls.ts';
import { askedDevice, requestOnCpu, type DeviceRequest } from './trainingJob.ts';
import { shortened, type StartTrainer } from './trainingQueue.ts';

/** A plan, and the request that it is of: what is queued. */
export interface MadePlan<R, P> {
  readonly plan: P;
  readonly request: R;
  /** One sentence, where plan and request are the CPU's although a device was asked for: which one was left, and why. */
  readonly left: string | undefined;
}

export interface PlanWork<R, P> {
  readonly startTrainer: StartTrainer;
  readonly ask: (
    trainer: Caller<TrainerContract>,
    request: R,
    options: CallOptions<LoadProgress>,
  ) => Promise<P>;
  readonly onProgress: (progress: { step: string; fraction: number | null }) => void;
  /** Ends the trainer. */
  readonly signal: AbortSignal;
}

/**
 * Plans a training in a process that ends with the plan. Where the device that is asked for fails, or ends that process, the plan
 * is made again with the CPU. Fails with `stopped` where the CPU ends it too, or was all that was asked for.
 */
export async function makePlan<R extends DeviceRequest, P>(
  request: R,
  work: PlanWork<R, P>,
): Promise<MadePlan<R, P>> {
  try {
    return { plan: await askTrainer(request, work), request, left: undefined };
  } catch (error) {
    const failure = Failure.from(error);
    const isDevice = failure.code === 'device-lost' || failure.code === 'stopped';
    if (work.signal.aborted || !isDevice || askedDevice({ request }) === undefined) throw failure;
    const onCpu = requestOnCpu(request);
    const left = `${shortened(failure.message)}, and the plan is the CPU's, as its training will be.`;
    return { plan: await askTrainer(onCpu, work), request: onCpu, left };
  }
}

async function askTrainer<R extends DeviceRequest, P>(
  request: R,
  { startTrainer, ask, onProgress, signal }: PlanWork<R, P>,
): Promise<P> {
  onProgress({ step: 'Starting the trainer', fraction: null });
  const trainer = startTrainer(request.model);
  const stop = (): void => trainer.dispose();
  signal.addEventListener('abort', stop);
  try {
    await trainer.ready;
    return await ask(trainer.caller, request, { signal, onProgress });
  } catch (error) {
    if (!Failure.is(error, 'stopped') || signal.aborted) throw error;
    trainer.dispose();
    throw new Failure('stopped', `The trainer stopped (${await trainer.ended}).`, {
      action: 'Try again, or look at the log.',
      cause: error,
    });
  } finally {
    signal.removeEventListener('abort', stop);
    trainer.dispose();
  }
}
