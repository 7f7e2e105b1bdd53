import type { KeyValueCache } from './keyValueCache.ts';

interface Entry {
  readonly documentId: string;
  readonly window: number;
  readonly kept: KeyValueCache;
  /** How many of its tokens are still those of the document. */
  valid: number;
}

/** Holds keys and values of the tokens at the start of windows, within a budget of bytes; the ones used longest ago go first. */
export class PrefixCache {
  private readonly budget: number;
  /** In order of use, the latest last. */
  private entries: Entry[] = [];

  constructor(budget: number) {
    this.budget = budget;
  }

  get byteLength(): number {
    return this.entries.reduce((sum, { kept }) => sum + kept.byteLength, 0);
  }

  /** The prefix kept for the window, if any, and how many of its tokens still hold. */
  get(
    documentId: string,
    window: number,
  ): { readonly kept: KeyValueCache; readonly valid: number } | undefined {
    const entry = this.entries.find(has(documentId, window));
    if (entry) this.entries = [...this.entries.filter(other => other !== entry), entry];
    return entry;
  }

  put(documentId: string, window: number, kept: KeyValueCache): void {
    const others = this.entries.filter(
      entry => !has(documentId, window)(entry) && !kept.outlives(entry.kept),
    );
    let room = this.budget - kept.byteLength;
    const latestFirst = others.reverse().filter(entry => (room -= entry.kept.byteLength) >= 0);
    const entry = { documentId, window, kept: kept.hold(), valid: kept.length };
    this.keep([...latestFirst.reverse(), entry]);
  }

  /** From `valid` tokens on, the window's text is no longer what the prefix was made of. */
  truncate(documentId: string, window: number, valid: number): void {
    const entry = this.entries.find(has(documentId, window));
    if (entry) entry.valid = Math.max(0, Math.min(entry.valid, valid));
    this.keep(this.entries.filter(({ valid: left }) => left > 0));
  }

  /** The windows of the document for which something is kept. */
  windowsOf(documentId: string): number[] {
    return this.entries.filter(entry => entry.documentId === documentId).map(entry => entry.window);
  }

  forget(documentId: string): void {
    this.keep(this.entries.filter(entry => entry.documentId !== documentId));
  }

  clear(): void {
    this.keep([]);
  }

  private keep(entries: Entry[]): void {
    const gone = this.entries.filter(entry => !entries.includes(entry));
    this.entries = entries;
    for (const { kept } of gone) kept.letGo();
  }
}

function has(documentId: string, window: number): (entry: Entry) => boolean {
  return entry => entry.documentId === documentId && entry.window === window;
}
