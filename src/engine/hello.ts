import { Failure } from '../common/failure.ts';
import { engineProtocol, type EngineContract } from '../contracts/engine.ts';
import type { Handlers } from '../messages/calls.ts';
import { runtimeVersion } from './sessions/session.ts';

/** The first call on a new process, in whichever role: refuses another build's messages. */
export function hello(
  role: 'engine' | 'trainer',
): Handlers<Pick<EngineContract, 'hello'>>['hello'] {
  return ({ protocol }) => {
    if (protocol === engineProtocol) return { protocol, pid: process.pid, runtime: runtimeVersion };
    throw new Failure(
      'mismatch',
      `The ${role} speaks protocol ${engineProtocol}, not ${protocol}.`,
      {
        action: 'Reload the window: Loupe was updated meanwhile.',
      },
    );
  };
}
