import type { AnalysisPart } from '../contracts/engine.ts';

/** Consecutive tokens of one part that are still valid; `shift` is how far the text has moved since the engine read it. */
export interface TokenRun {
  readonly part: AnalysisPart;
  /** Rows of the part in use: from `from` up to, not including, `to`. */
  readonly from: number;
  readonly to: number;
  readonly shift: number;
  readonly generation: number;
}

/** One token held in memory: a row of a run. */
export interface TokenPlace {
  readonly run: TokenRun;
  readonly row: number;
}

/** The tokens of one document in order, put together from parts that replace each other and move with edits. */
export class AnalyzedTokens {
  private held: readonly TokenRun[] = [];
  private generation = 0;

  get runs(): readonly TokenRun[] {
    return this.held;
  }

  get count(): number {
    return this.held.reduce((sum, run) => sum + run.to - run.from, 0);
  }

  /** A new analysis starts: what is held stays until parts of the new one cover it. */
  begin(): void {
    this.generation++;
  }

  /** Takes a part in; its offsets are moved by `shift` to count from the start of the document. */
  apply(part: AnalysisPart, shift: number): void {
    const tokens = part.starts.length;
    if (tokens === 0) return;
    const run = { part, from: 0, to: tokens, shift, generation: this.generation };
    const kept = this.held.flatMap(old =>
      old.generation === run.generation ? withoutIndices(old, run) : withoutCharacters(old, run),
    );
    this.held = [...kept, run].sort(inDocumentOrder);
  }

  /** The analysis has ended: if it sent every token, nothing of earlier ones is left. */
  finish(tokens: number): void {
    const fresh = this.held.filter(run => run.generation === this.generation);
    const sent = fresh.reduce((sum, run) => sum + run.to - run.from, 0);
    if (sent >= tokens) this.held = fresh;
  }

  /** Follows an edit of the text: tokens that it touches are dropped, those behind it move. */
  edit(offset: number, removed: number, inserted: number): void {
    const delta = inserted - removed;
    this.held = this.held.flatMap(run => {
      const before = { ...run, to: firstRow(run, row => endOf(run, row) > offset) };
      const after = {
        ...run,
        from: firstRow(run, row => startOf(run, row) >= offset + removed),
        shift: run.shift + delta,
      };
      return nonEmpty(before, after);
    });
  }

  /** The tokens that share at least one character with the range. */
  inRange(start: number, end: number): TokenPlace[] {
    const places: TokenPlace[] = [];
    let index = lowerBound(0, this.held.length, i => lastEnd(this.held[i]) > start);
    for (; index < this.held.length; index++) {
      const run = this.held[index];
      if (run === undefined || startOf(run, run.from) >= end) break;
      let row = firstRow(run, candidate => endOf(run, candidate) > start);
      for (; row < run.to && startOf(run, row) < end; row++) places.push({ run, row });
    }
    return places;
  }
}

/** UTF-16 offset in the document of a row's first character. */
export function startOf(run: TokenRun, row: number): number {
  return (run.part.starts[row] ?? 0) + run.shift;
}

/** UTF-16 offset in the document behind a row's last character. */
export function endOf(run: TokenRun, row: number): number {
  return (run.part.ends[row] ?? 0) + run.shift;
}

function lastEnd(run: TokenRun | undefined): number {
  return run === undefined ? Infinity : endOf(run, run.to - 1);
}

function indexOf(run: TokenRun, row: number): number {
  return run.part.firstToken + row;
}

function inDocumentOrder(a: TokenRun, b: TokenRun): number {
  return startOf(a, a.from) - startOf(b, b.from) || indexOf(a, a.from) - indexOf(b, b.from);
}

/** Cuts from `old` the tokens whose number is among those of `run`: both count the same text. */
function withoutIndices(old: TokenRun, run: TokenRun): TokenRun[] {
  const clamp = (token: number): number =>
    Math.min(Math.max(token - old.part.firstToken, old.from), old.to);
  const first = indexOf(run, run.from);
  const before = { ...old, to: clamp(first) };
  const after = { ...old, from: clamp(first + run.to - run.from) };
  return nonEmpty(before, after);
}

/** Cuts from `old`, whose numbers are out of date, the tokens that lie in the characters of `run`. */
function withoutCharacters(old: TokenRun, run: TokenRun): TokenRun[] {
  const start = startOf(run, run.from);
  const end = endOf(run, run.to - 1);
  const before = { ...old, to: firstRow(old, row => endOf(old, row) > start) };
  const after = { ...old, from: firstRow(old, row => startOf(old, row) >= end) };
  return nonEmpty(before, after);
}

/** Two pieces of one run, the empty ones left out, and whole again where nothing lies between them. */
function nonEmpty(before: TokenRun, after: TokenRun): TokenRun[] {
  if (before.to >= after.from && before.shift === after.shift)
    return [{ ...after, from: before.from }];
  const rest = { ...after, from: Math.max(after.from, before.to) };
  return [before, rest].filter(run => run.to > run.from);
}

/** The first row of the run for which `isPast` holds, its end if none; isPast is monotonic in the row. */
function firstRow(run: TokenRun, isPast: (row: number) => boolean): number {
  return lowerBound(run.from, run.to, isPast);
}

function lowerBound(from: number, to: number, isPast: (index: number) => boolean): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isPast(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
