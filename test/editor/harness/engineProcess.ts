import { readFileSync, readdirSync } from 'node:fs';
import { eventually } from './window.ts';

/** The engine processes that were started, directly or not, by a process. */
export function enginesUnder(ancestor: number): readonly number[] {
  return programsUnder(ancestor).filter(pid => !read(pid, 'cmdline').includes(trainer));
}

function programsUnder(ancestor: number): readonly number[] {
  const processes = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number);
  return processes.filter(pid => isProgram(pid) && descends(pid, ancestor));
}

/** The one engine process under `ancestor`, as soon as there is one other than `former`. */
export function engineUnder(ancestor: number, former?: number): Promise<number> {
  return eventually('engine process', () =>
    Promise.resolve(enginesUnder(ancestor).find(pid => pid !== former)),
  );
}

/** The one trainer process under `ancestor`, as soon as there is one other than `former`. */
export function trainerUnder(ancestor: number, former?: number): Promise<number> {
  return eventually('trainer process', () =>
    Promise.resolve(
      programsUnder(ancestor).find(pid => pid !== former && read(pid, 'cmdline').includes(trainer)),
    ),
  );
}

const trainer = '--role=trainer';

/** Loupe's program in any role. */
function isProgram(pid: number): boolean {
  return read(pid, 'cmdline')
    .split('\0')
    .some(argument => argument.endsWith('/dist/engine.js'));
}

function descends(pid: number, ancestor: number): boolean {
  for (let parent = parentOf(pid); parent > 1; parent = parentOf(parent))
    if (parent === ancestor) return true;
  return false;
}

/** The fourth field of /proc/PID/stat; the second is a name in brackets that may hold anything. */
function parentOf(pid: number): number {
  const stat = read(pid, 'stat');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? 0);
}

/** '' where the process has ended meanwhile. */
function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
