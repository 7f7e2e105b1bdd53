import { fileURLToPath } from 'node:url';
import type { Contestant } from './contestants.ts';
import { startPeer } from './peer.ts';
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
  { batch, width, features, k, threads }: StepShape,
  { device = 'cpu', steps = 1 }: { readonly device?: 'cpu' | 'cuda'; readonly steps?: number } = {},
): Promise<StepPeer> {
  const script = fileURLToPath(new URL('../peers/trainingStep.py', import.meta.url));
  const args = [batch, width, features, k, threads, device, steps].map(String);
  const peer = await startPeer(python, [script, ...args]);
  return {
    version: peer.version,
    contestant: words => peer.contestant(`PyTorch ${words}`, words),
  };
}
