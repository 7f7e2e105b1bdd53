import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { throwIfCancelled } from '../../common/cancelled.ts';
import { Failure } from '../../common/failure.ts';
import { formatFigure } from '../../common/numbers.ts';
import type { Device } from '../../contracts/engine.ts';
import { deviceTrouble } from './deviceTrouble.ts';
import type { ProbeAnswer, ProbeFindings } from './probeRole.ts';

/** What a test run on a device has shown; a reason is a clause: "its test run ended with signal SIGSEGV". */
export type Probe =
  ({ readonly works: true } & ProbeFindings) | { readonly works: false; readonly reason: string };

export interface ProbeOptions {
  readonly signal?: AbortSignal | undefined;
  readonly milliseconds?: number;
  /** Of the CPU, whose time the device's is compared with; as many as there are processors unless given. */
  readonly threads?: number;
  /** How many times as long as the CPU the device may take for the small run; any time unless given. */
  readonly slowest?: number;
  /** Whether a device that failed is tried again by this process. */
  readonly again?: boolean;
  /** Hears that a device is about to be tried; what is known of it takes no time. */
  readonly trying?: ((device: Device) => void) | undefined;
  /** What to fork in place of the engine. */
  readonly program?: string;
}

/** Of the result, relative: far above what float32 in another order makes of it (1e-6). */
const tolerance = 1e-3;

/** A checkout's source, or the bundle beside this one. */
const programs = ['../main.ts', './engine.js'];

/** Most characters of what a driver says that are looked at. */
const longestSaid = 65_536;

/** What devices have shown to this process, or why they have failed. */
const known = new Map<string, ProbeFindings | string>();

/** Tries a device in a process of its own, so that whatever its driver does ends that process alone. */
export async function probeDevice(device: Device, options: ProbeOptions = {}): Promise<Probe> {
  const before = known.get(keyOf(device, options));
  if (before !== undefined) {
    const probe = judged(before, options);
    if (probe.works || options.again !== true) return probe;
  }
  options.trying?.(device);
  const answer = await answerOf(device, options);
  known.set(keyOf(device, options), answer);
  return judged(answer, options);
}

/** Remembers of a device that was found to work why it does not: it is tried again only where `again` says so. */
export function recordFailure(device: Device, options: ProbeOptions, reason: string): void {
  known.set(keyOf(device, options), reason);
}

/** The next one who asks for the device tries it again. */
export function forgetDevice(device: Device, options: ProbeOptions): void {
  known.delete(keyOf(device, options));
}

/** What was found holds beside that many threads, of that program. */
function keyOf(device: Device, { program = '', threads = availableParallelism() }: ProbeOptions) {
  return [device, threads, program].join(' ');
}

function judged(answer: ProbeFindings | string, { slowest = Infinity }: ProbeOptions): Probe {
  if (typeof answer === 'string') return { works: false, reason: answer };
  const { difference, milliseconds, cpuMilliseconds } = answer;
  if (!(difference < tolerance)) {
    const reason = `its test run came out different from the CPU's, by ${formatFigure(difference)} of the largest value`;
    return { works: false, reason };
  }
  if (milliseconds > slowest * cpuMilliseconds) {
    const times = [milliseconds, cpuMilliseconds].map(time => `${formatFigure(time)} ms`);
    return { works: false, reason: `its test run took ${times[0]}, the CPU's ${times[1]}` };
  }
  return { works: true, ...answer };
}

/** Settles with what the process told, or with why it told nothing; the process has ended by then, or is being ended. */
function answerOf(device: Device, options: ProbeOptions): Promise<ProbeFindings | string> {
  const { signal, milliseconds = 60_000, threads = availableParallelism() } = options;
  throwIfCancelled(signal);
  const asked = ['--role=probe', `--device=${device}`, `--threads=${threads}`];
  const child = fork(options.program ?? engineProgram(), asked, {
    env: { ...process.env, ELECTRON_RUN_AS_NODE: '1' },
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  // Drivers and onnxruntime say there what their failures keep to themselves.
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-longestSaid);
  });
  return new Promise<ProbeFindings | string>((resolve, reject) => {
    const late = setTimeout(() => {
      resolve(`its test run did not end within ${milliseconds / 1000} s`);
    }, milliseconds);
    const abort = (): void => reject(new Failure('cancelled', 'The test run was cancelled.'));
    signal?.addEventListener('abort', abort, { once: true });
    let failed = (): void => undefined;
    let lastWords: NodeJS.Timeout | undefined;
    child.once('message', message => {
      const answer = message as ProbeAnswer;
      if (!('failure' in answer)) {
        resolve(answer);
        return;
      }
      // Its last words may come after its answer.
      clearTimeout(late);
      failed = () => resolve(deviceTrouble(device, answer.failure, said));
      lastWords = setTimeout(failed, 1000);
    });
    child.once('error', error => resolve(`its test run did not start: ${error.message}`));
    child.once('close', (code, killed) => {
      clearTimeout(late);
      clearTimeout(lastWords);
      signal?.removeEventListener('abort', abort);
      failed();
      resolve(
        `its test run ended with ${killed === null ? `exit code ${String(code)}` : `signal ${killed}`}`,
      );
    });
  }).finally(() => child.kill('SIGKILL'));
}

function engineProgram(): string {
  const found = programs
    .map(place => fileURLToPath(new URL(place, import.meta.url)))
    .find(existsSync);
  if (found !== undefined) return found;
  throw new Failure('not-found', 'This installation has no engine program (engine.js).');
}
