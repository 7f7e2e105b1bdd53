import { Failure } from '../../common/failure.ts';
import type { BoostPlan, BoostRequest } from '../../contracts/trainer.ts';
import type { PlanChoice, PlanState } from '../../contracts/trainingPanel.ts';
import { makePlan } from './makePlan.ts';
import type { StartTrainer } from './trainingQueue.ts';

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
    const { name, folders } = draft;
    const enter = (state: PlanState, planned = draft): void => {
      if (signal.aborted) return;
      this.current = { draft: planned, state };
      this.onChange();
    };
    try {
      const made = await makePlan(draft.request, {
        startTrainer: this.startTrainer,
        ask: (trainer, request, options) => trainer.call('plan', request, options),
        onProgress: progress => enter({ kind: 'reading', name, ...progress }),
        signal,
      });
      const { request, left } = made;
      const { width, k, mixGeneral } = request;
      const plan = left === undefined ? made.plan : withWarning(made.plan, left);
      const choice = { tokens: plan.tokens, mixGeneral };
      enter({ kind: 'ready', name, folders, plan, width, k, choice }, { ...draft, request });
    } catch (error) {
      enter({ kind: 'failed', name, message: sentence(Failure.from(error)) });
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

function withWarning(plan: BoostPlan, message: string): BoostPlan {
  const warnings = [{ code: 'device-left', message }, ...plan.corpus.warnings];
  return { ...plan, corpus: { ...plan.corpus, warnings } };
}

function sentence({ message, action }: Failure): string {
  return action === undefined ? message : `${message} ${action}`;
}
