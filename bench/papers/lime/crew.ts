import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Cell } from './cell.ts';

/**
 * Trains cells in order, as many at once as there are processes: onnxruntime blocks the thread that it is called from,
 * and two trainings of one thread each are faster than one of two. The processes are given `args`.
 */
export async function trainInProcesses(
  cells: readonly Cell[],
  options: {
    readonly processes: number;
    readonly args: readonly string[];
    readonly signal: AbortSignal;
    readonly done: () => Promise<void>;
  },
): Promise<void> {
  const { processes, args, signal, done } = options;
  const waiting = [...cells];
  const work = async (): Promise<void> => {
    const first = waiting[0];
    if (!first) return;
    const child = fork(fileURLToPath(new URL('./worker.ts', import.meta.url)), args, {
      execArgv: process.execArgv,
      detached: true, // a session each: Linux shares the processor among sessions
    });
    try {
      for (let cell = waiting.shift(); cell; cell = waiting.shift()) {
        signal.throwIfAborted();
        await trained(child, cell);
        await done();
      }
    } finally {
      child.disconnect();
    }
  };
  await Promise.all(Array.from({ length: processes }, work));
}

function trained(child: ChildProcess, cell: Cell): Promise<void> {
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error(`${cell.arm}.${cell.seed}: its process ended`));
    child.once('exit', ended);
    child.once('message', () => {
      child.off('exit', ended);
      resolve();
    });
    child.send(cell);
  });
}
