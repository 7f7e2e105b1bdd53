import { Failure } from '../../common/failure.ts';
import { Gate } from '../../common/gate.ts';
import type { TrainerContract } from '../../contracts/trainer.ts';
import type { Handlers } from '../../messages/calls.ts';
import { boost } from '../boost/boost.ts';
import { planBoost } from '../boost/boostPlan.ts';
import { fitRouters } from '../lime/routerFit.ts';
import { planRouterFit } from '../lime/routerFitPlan.ts';
import { hello } from '../hello.ts';

/** Into the log: the editor shows what the process writes to stderr there. */
const warn = (message: string): void => console.warn(message);

/** What the process answers in the role of the trainer: one training at a time. */
export function openTrainer(): Handlers<TrainerContract> {
  const gate = new Gate();
  let isBusy = false;
  const alone = async <T>(train: () => Promise<T>): Promise<T> => {
    if (isBusy) throw new Failure('internal', 'The trainer does one training at a time.');
    isBusy = true;
    gate.open();
    try {
      return await train();
    } finally {
      isBusy = false;
    }
  };
  return {
    hello: hello('trainer'),
    plan: (request, { signal, report }) => planBoost(request, { signal, report }),
    boost: (request, { signal, report }) =>
      alone(() => boost(request, { signal, gate, report, warn })),
    planFit: (request, { signal, report }) => planRouterFit(request, { signal, report, warn }),
    fitRouters: (request, { signal, report }) =>
      alone(() => fitRouters(request, { signal, gate, report, warn })),
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
