/** Something whose milliseconds are measured. */
export interface Contestant {
  readonly name: string;
  run(): Promise<number>;
  dispose(): Promise<void>;
}

/** Milliseconds of each contestant, by its name, over the rounds. */
export type Times = ReadonlyMap<string, readonly number[]>;

export interface Ratio {
  /** Median of the ratios within each round. */
  readonly median: number;
  /** Ratio of the shortest times. */
  readonly ofMinima: number;
}

/** Runs the contestants by turns, so that whatever else the machine does falls on all; disposes of them. */
export async function takeTurns(
  contestants: readonly Contestant[],
  { rounds, warmUp }: { readonly rounds: number; readonly warmUp: number },
): Promise<Times> {
  const times = new Map(contestants.map(({ name }) => [name, [] as number[]]));
  try {
    for (let round = -warmUp; round < rounds; round++) {
      for (const contestant of contestants) {
        const milliseconds = await contestant.run();
        if (round >= 0) times.get(contestant.name)?.push(milliseconds);
      }
    }
  } finally {
    for (const contestant of contestants) await contestant.dispose();
  }
  return times;
}

export function ratio(times: Times, over: string, under: string): Ratio {
  const [a = [], b = []] = [times.get(over), times.get(under)];
  const each = a.map((value, i) => value / (b[i] ?? NaN));
  return { median: median(each), ofMinima: Math.min(...a) / Math.min(...b) };
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}
