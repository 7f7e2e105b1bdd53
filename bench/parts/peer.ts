import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Contestant } from './contestants.ts';

/** A program that says its version in a line and answers lines that are written to it. */
export interface Peer {
  readonly version: string;
  /** Writes a line that has no answer. */
  tell(line: string): void;
  /** Writes a line, and gives that of the answer. */
  ask(line: string): Promise<string>;
  /** Sends the line in each round; the answer is the milliseconds that it took. */
  contestant(name: string, line: string): Contestant;
}

export async function startPeer(program: string, args: readonly string[]): Promise<Peer> {
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    // Without these, glibc maps and unmaps every large tensor anew, which costs PyTorch half its speed.
    env: {
      ...process.env,
      MALLOC_MMAP_THRESHOLD_: '4294967296',
      MALLOC_TRIM_THRESHOLD_: '17179869184',
    },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const line = await lines.next();
    if (line.done === true)
      throw new Error(`${program} ${args[0] ?? ''} ended: its first lines say what it needs.`);
    return line.value;
  };
  const tell = (line: string): void => void child.stdin.write(`${line}\n`);
  const ask = (line: string): Promise<string> => {
    tell(line);
    return next();
  };
  return {
    version: await next(),
    tell,
    ask,
    contestant: (name, line) => ({
      name,
      run: async () => Number(await ask(line)),
      dispose: () => {
        child.kill();
        return Promise.resolve();
      },
    }),
  };
}
