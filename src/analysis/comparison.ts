import type { AnalysisPart } from '../contracts/engine.ts';
import { squaredErrorOf, type Kept } from './kept.ts';

/** The length of what is not reconstructed of one token: by the base alone, and with the domains that are on. */
export interface TokenError {
  readonly base: number;
  readonly boosted: number;
}

export function errorOf(part: AnalysisPart, row: number, { k, on }: Kept): TokenError {
  const length = (domains: readonly number[]): number =>
    Math.sqrt(Math.max(0, squaredErrorOf(part, row, { k, on: domains })));
  return { base: length([]), boosted: length(on) };
}

/** What the domains change of a token's error, relative to it: negative where it shrinks, 0 where there is none. */
export function relativeChange({ base, boosted }: TokenError): number {
  return base > 0 ? (boosted - base) / base : 0;
}

/** The largest relative changes in a document. */
export interface ChangeRange {
  /** 0 to 1. */
  readonly shrunk: number;
  /** At least 0. */
  readonly grown: number;
}

/** A stretch of text and what the domains change of its error. */
export interface ErrorTint {
  readonly start: number;
  readonly end: number;
  readonly direction: 'shrunk' | 'grown';
  /** Above 0 and up to 1: relative to the largest change in the document, either way. */
  readonly strength: number;
}

/** Growth beyond this counts as this: one token must not make all others pale. */
const mostGrowth = 1;

/** Tints of the changes (stretches with `change`), on one scale for both directions. */
export function errorTints(
  changes: readonly { readonly start: number; readonly end: number; readonly change: number }[],
): ErrorTint[] {
  const { shrunk, grown } = rangeOfChanges(changes);
  const largest = Math.max(shrunk, Math.min(grown, mostGrowth));
  return changes
    .filter(({ change }) => change !== 0)
    .map(({ start, end, change }) => ({
      start,
      end,
      direction: change < 0 ? 'shrunk' : 'grown',
      strength: Math.min(Math.abs(change), largest) / largest,
    }));
}

export function rangeOfChanges(changes: readonly { readonly change: number }[]): ChangeRange {
  return {
    shrunk: changes.reduce((most, { change }) => Math.max(most, -change), 0),
    grown: changes.reduce((most, { change }) => Math.max(most, change), 0),
  };
}
