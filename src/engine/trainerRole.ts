import { Failure } from '../common/failure.ts';
import { Gate } from '../common/gate.ts';
import { engineProtocol } from '../contracts/engine.ts';
import type { TrainerContract } from '../contracts/trainer.ts';
import type { Handlers } from '../messages/calls.ts';
import { boost } from './boost.ts';
import { planBoost } from './boostPlan.ts';
import { runtimeVersion } from './session.ts';

/** What the process answers in the role of the trainer: one training at a time. */
export function openTrainer(): Handlers<TrainerContract> {
  const gate = new Gate();
  let isBusy = false;
  return {
    hello: ({ protocol }) => {
      if (protocol === engineProtocol) {
        return { protocol, pid: process.pid, runtime: runtimeVersion };
      }
      throw new Failure(
        'mismatch',
        `The trainer speaks protocol ${engineProtocol}, not ${protocol}.`,
        { action: 'Reload the window: Loupe was updated meanwhile.' },
      );
    },
    plan: (request, { signal, report }) => planBoost(request, { signal, report }),
    boost: async (request, { signal, report }) => {
      if (isBusy) {
        throw new Failure('internal', 'The trainer trains one residual SAE at a time.');
      }
      isBusy = true;
      gate.open();
      try {
        return await boost(request, { signal, gate, report });
      } finally {
        isBusy = false;
      }
    },
    pause: () => {
      gate.close();
      return null;
    },
    resume: () => {
      gate.open();
      return null;
    },
  };
}
