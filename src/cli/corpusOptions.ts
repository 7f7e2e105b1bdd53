import type { Tokenizer } from '../models/model.ts';
import { readCorpus } from '../training/corpus/corpus.ts';
import { wholeWindows } from '../training/corpus/wholeWindows.ts';

/** The first tokens of the text at `paths`, packed into whole windows; a text shorter than a window is cut into smaller ones. */
export async function corpusTokens(
  paths: readonly string[],
  tokenizer: Tokenizer,
  options: {
    windowLength: number;
    limit: number;
    signal: AbortSignal;
    log(line: string): void;
  },
): Promise<{ tokenIds: Uint32Array; windowLength: number }> {
  const { limit, signal } = options;
  const logged = new Set<string>();
  const log = (line: string): void => {
    if (!logged.has(line)) options.log(line);
    logged.add(line);
  };
  const { windowLength } = options;
  return await wholeWindows(() => readCorpus(paths, signal, log), tokenizer, {
    windowLength,
    limit,
    signal,
  });
}

/** Logs how far the work is, at most every five seconds. */
export function progressLog(log: (line: string) => void, windowLength: number) {
  const started = performance.now();
  let last = started;
  return (done: number, windows: number): void => {
    const now = performance.now();
    if (now - last < 5000 && done < windows) return;
    last = now;
    const perSecond = (done * windowLength * 1000) / (now - started);
    log(
      `${done * windowLength} of ${windows * windowLength} tokens, ${perSecond.toFixed(0)} a second`,
    );
  };
}
