import { Failure } from '../common/failure.ts';
import type { LoadProgress } from '../contracts/engine.ts';
import type { BoostRequest } from '../contracts/trainer.ts';
import type { PlanChoice, PlanState } from '../contracts/trainingPanel.ts';
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

  /** Makes the plan of a draft; one that was being made before is dropped. Settles when it is there, or has failed. */
  async begin(draft: TrainingDraft): Promise<void> {
    this.work.abort();
    const { signal } = (this.work = new AbortController());
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
      const plan = await trainer.caller.call('plan', request, { signal, onProgress });
      const choice = { tokens: plan.tokens, mixGeneral };
      enter({ kind: 'ready', name, folders, plan, width, k, choice });
    } catch (error) {
      enter({ kind: 'failed', name, message: sentence(Failure.from(error)) });
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

function sentence({ message, action }: Failure): string {
  return action === undefined ? message : `${message} ${action}`;
}
