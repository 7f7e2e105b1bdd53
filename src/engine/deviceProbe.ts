import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { throwIfCancelled } from '../common/cancelled.ts';
import { Failure } from '../common/failure.ts';
import type { Device } from '../contracts/engine.ts';
import type { ProbeFindings } from './probeRole.ts';

/** What a test run on a device has shown; a reason is a clause: "its test run ended with signal SIGSEGV". */
export type Probe =
  ({ readonly works: true } & ProbeFindings) | { readonly works: false; readonly reason: string };

export interface ProbeOptions {
  readonly signal?: AbortSignal | undefined;
  readonly milliseconds?: number;
  /** How many times as long as the CPU the device may take for the small run, of which most is getting there and back. */
  readonly slowest?: number;
  /** What to fork in place of the engine. */
  readonly program?: string;
}

/** Of the result, relative: far above what float32 in another order makes of it (1e-6). */
const tolerance = 1e-3;

/** A checkout's source, or the bundle beside this one. */
const programs = ['./main.ts', './engine.js'];

/** Tries a device in a process of its own, so that whatever its driver does ends that process alone. */
export async function probeDevice(device: Device, options: ProbeOptions = {}): Promise<Probe> {
  const answer = await answerOf(device, options);
  if (typeof answer === 'string') return { works: false, reason: answer };
  const { difference, milliseconds, cpuMilliseconds } = answer;
  if (!(difference < tolerance)) {
    const reason = `its test run came out different from the CPU's, by ${difference.toPrecision(2)} of the largest value`;
    return { works: false, reason };
  }
  if (milliseconds > (options.slowest ?? 10) * cpuMilliseconds) {
    const times = [milliseconds, cpuMilliseconds].map(time => `${time.toPrecision(2)} ms`);
    return { works: false, reason: `its test run took ${times[0]}, the CPU's ${times[1]}` };
  }
  return { works: true, ...answer };
}

/** Settles with what the process told, or with why it told nothing; the process has ended by then, or is being ended. */
function answerOf(device: Device, options: ProbeOptions): Promise<ProbeFindings | string> {
  const { signal, milliseconds = 30_000 } = options;
  throwIfCancelled(signal);
  const child = fork(options.program ?? engineProgram(), [`--role=probe`, `--device=${device}`], {
    env: { ...process.env, ELECTRON_RUN_AS_NODE: '1' },
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  return new Promise<ProbeFindings | string>((resolve, reject) => {
    const late = setTimeout(() => {
      resolve(`its test run did not end within ${milliseconds / 1000} s`);
    }, milliseconds);
    const abort = (): void => reject(new Failure('cancelled', 'The test run was cancelled.'));
    signal?.addEventListener('abort', abort, { once: true });
    child.once('message', message => resolve(told(message)));
    child.once('error', error => resolve(`its test run did not start: ${error.message}`));
    child.once('exit', (code, killed) => {
      clearTimeout(late);
      signal?.removeEventListener('abort', abort);
      resolve(
        `its test run ended with ${killed === null ? `exit code ${String(code)}` : `signal ${killed}`}`,
      );
    });
  }).finally(() => child.kill('SIGKILL'));
}

function told(message: unknown): ProbeFindings | string {
  const answer = message as Partial<ProbeFindings> & { failure?: string };
  if (answer.failure === undefined) return answer as ProbeFindings;
  if (/webgpu adapter|no supported adapters/i.test(answer.failure))
    return 'no graphics adapter was found';
  return `its test run failed: ${answer.failure.split('\n')[0] ?? ''}`;
}

function engineProgram(): string {
  const found = programs
    .map(place => fileURLToPath(new URL(place, import.meta.url)))
    .find(existsSync);
  if (found !== undefined) return found;
  throw new Failure('not-found', 'This installation has no engine program (engine.js).');
}
