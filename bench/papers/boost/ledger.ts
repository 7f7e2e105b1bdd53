import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { writeText } from '../report.ts';

/** What was measured, by name, kept in a file, so that it is not measured again. */
export class Ledger {
  private readonly path: string;
  private readonly entries: Record<string, unknown>;

  private constructor(path: string, entries: Record<string, unknown>) {
    this.path = path;
    this.entries = entries;
  }

  static async open(path: string): Promise<Ledger> {
    await mkdir(dirname(path), { recursive: true });
    const text = await readFile(path, 'utf8').catch(() => '{}');
    return new Ledger(path, JSON.parse(text) as Record<string, unknown>);
  }

  /** The values of these names; those that are missing are computed, all at once. */
  async values<T>(
    names: readonly string[],
    compute: (missing: readonly number[]) => Promise<readonly T[]>,
  ): Promise<T[]> {
    const missing = [...names.keys()].filter(i => !((names[i] ?? '') in this.entries));
    if (missing.length > 0) {
      const computed = await compute(missing);
      missing.forEach((index, i) => (this.entries[names[index] ?? ''] = computed[i]));
      await writeText(this.path, JSON.stringify(this.entries));
    }
    return names.map(name => this.entries[name] as T);
  }
}
