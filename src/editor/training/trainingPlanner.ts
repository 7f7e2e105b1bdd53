import { Failure } from '../../common/failure.ts';
import type { LoadProgress } from '../../contracts/engine.ts';
import type { BoostPlan, BoostRequest } from '../../contracts/trainer.ts';
import type { PlanChoice, PlanState } from '../../contracts/trainingPanel.ts';
import { askedDevice, boostOnCpu } from './trainingJob.ts';
import { shortened, type StartTrainer, type Trainer } from './trainingQueue.ts';

/** A training that the user has asked for and not started yet. */
export interface TrainingDraft {
  readonly name: string;
  /** Names of the workspace folders, for people. */
  readonly folders: readonly string[];
  readonly request: BoostRequest;
}

/** Reads the text of one draft at a time, in a process that ends with the plan. */
export class TrainingPlanner {
  private readonly startTrainer: StartTrainer;
  private readonly onChange: () => void;
  private work = new AbortController();
  private current: { readonly draft: TrainingDraft; readonly state: PlanState } | undefined;

  constructor(startTrainer: StartTrainer, onChange: () => void) {
    this.startTrainer = startTrainer;
    this.onChange = onChange;
  }

  get state(): PlanState | null {
    return this.current?.state ?? null;
  }

  /**
   * Makes the plan of a draft; one that was being made before is dropped. Where its device fails, or ends the trainer, plan and
   * training are the CPU's. Settles when the plan is there, or has failed.
   */
  async begin(draft: TrainingDraft): Promise<void> {
    this.work.abort();
    const { signal } = (this.work = new AbortController());
    await this.make(draft, signal);
  }

  /** `left`, one sentence: why the draft is on the CPU by now. */
  private async make(draft: TrainingDraft, signal: AbortSignal, left?: string): Promise<void> {
    const { name, folders, request } = draft;
    const enter = (state: PlanState): void => {
      if (signal.aborted) return;
      this.current = { draft, state };
      this.onChange();
    };
    enter({ kind: 'reading', name, step: 'Starting the trainer', fraction: null });
    const trainer = this.startTrainer(request.model);
    signal.addEventListener('abort', () => trainer.dispose(), { once: true });
    try {
      await trainer.ready;
      const { width, k, mixGeneral } = request;
      const onProgress = (progress: LoadProgress): void =>
        enter({ kind: 'reading', name, ...progress });
      const made = await trainer.caller.call('plan', request, { signal, onProgress });
      const plan = left === undefined ? made : withWarning(made, left);
      const choice = { tokens: plan.tokens, mixGeneral };
      enter({ kind: 'ready', name, folders, plan, width, k, choice });
    } catch (error) {
      const failure = Failure.from(error);
      const asked = askedDevice({ kind: 'residual', request });
      const isDevice = failure.code === 'device-lost' || failure.code === 'stopped';
      if (asked === undefined || !isDevice) {
        enter({ kind: 'failed', name, message: sentence(failure) });
        return;
      }
      const why = leftText(failure, await endOf(trainer));
      const onCpu = { ...draft, request: boostOnCpu(request) };
      if (!signal.aborted) await this.make(onCpu, signal, why);
    } finally {
      trainer.dispose();
    }
  }

  /** The request of the plan that is ready, with the user's choice; the plan is done with. */
  take({ tokens, mixGeneral }: PlanChoice): BoostRequest | undefined {
    if (this.current?.state.kind !== 'ready') return undefined;
    const { request } = this.current.draft;
    this.drop();
    return { ...request, tokens: Math.max(1, Math.round(tokens)), mixGeneral };
  }

  drop(): void {
    this.work.abort();
    this.current = undefined;
    this.onChange();
  }

  dispose(): void {
    this.work.abort();
  }
}

/** Ends the trainer, and tells how it ended. */
function endOf(trainer: Trainer): Promise<string> {
  trainer.dispose();
  return trainer.ended;
}

/** One sentence: why plan and training are the CPU's. */
function leftText({ code, message }: Failure, end: string): string {
  const what = code === 'stopped' ? `The trainer stopped (${end})` : shortened(message);
  return `${what}, and the plan is the CPU's, as its training will be.`;
}

function withWarning(plan: BoostPlan, message: string): BoostPlan {
  const warnings = [{ code: 'device-left', message }, ...plan.corpus.warnings];
  return { ...plan, corpus: { ...plan.corpus, warnings } };
}

function sentence({ message, action }: Failure): string {
  return action === undefined ? message : `${message} ${action}`;
}
