import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Contestant } from './contestants.ts';
import type { StepShape } from './trainingSteps.ts';

export interface StepPeer {
  /** PyTorch's, and what it runs on. */
  readonly version: string;
  /** What peers/trainingStep.py does where it is sent these words. */
  contestant(words: string): Contestant;
}

/** PyTorch's training step of the shape in a process of its own. */
export async function startStepPeer(
  python: string,
  shape: StepShape,
  { device = 'cpu', steps = 1 }: { readonly device?: 'cpu' | 'cuda'; readonly steps?: number } = {},
): Promise<StepPeer> {
  const script = fileURLToPath(new URL('../peers/trainingStep.py', import.meta.url));
  const { batch, width, features, k, threads } = shape;
  const args = [batch, width, features, k, threads, device, steps].map(String);
  const child = spawn(python, [script, ...args], {
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
    if (line.done === true) throw new Error(`${python} ended: is torch installed there?`);
    return line.value;
  };
  return {
    version: await next(),
    contestant: words => ({
      name: `PyTorch ${words}`,
      run: async () => {
        child.stdin.write(`${words}\n`);
        return Number(await next());
      },
      dispose: () => {
        child.kill();
        return Promise.resolve();
      },
    }),
  };
}
