import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Runs a program and resolves when it exits with 0; its output goes to this terminal unless `options.stdio` says otherwise. */
export async function run(
  program: string,
  args: readonly string[],
  options: SpawnOptions = {},
): Promise<void> {
  const code = await exitCode(program, args, options);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}`);
}

/** Runs a program and resolves to its exit code, or to the name of the signal that ended it. */
export async function exitCode(
  program: string,
  args: readonly string[],
  options: SpawnOptions = {},
): Promise<number | string> {
  const child = spawn(program, args, { stdio: 'inherit', ...options });
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  return code ?? signal ?? 'an unknown end';
}

/** The program's path, if it is on the PATH. */
export function findProgram(names: readonly string[]): string | undefined {
  const suffixes = process.platform === 'win32' ? ['.exe', '.cmd'] : [''];
  for (const name of names)
    for (const folder of (process.env['PATH'] ?? '').split(delimiter))
      for (const suffix of suffixes)
        if (folder !== '' && isExecutable(join(folder, name + suffix)))
          return join(folder, name + suffix);
  return undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Ends a detached child and everything that it started: asks, and after five seconds insists. */
export async function endProcessGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return;
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit');
    signalGroup(child.pid, 'SIGTERM');
    const patience = new AbortController();
    await Promise.race([exited, delay(5000, patience.signal)]);
    patience.abort();
  }
  signalGroup(child.pid, 'SIGKILL');
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // The group has ended already.
  }
}

/** Resolves after `milliseconds`, or as soon as `signal` is aborted. */
export function delay(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
