import { Failure } from '../../common/failure.ts';

/** Tokens that are run together: `start` to `end`, of which those before `ownStart` are only context. */
export interface Window {
  readonly index: number;
  readonly start: number;
  readonly ownStart: number;
  readonly end: number;
}

/** Tokens whose results are kept, sent and taken over together. Every window's own tokens are whole cells. */
export const cellLength = 32;

/** How a document is cut into windows. */
export interface WindowShape {
  /** Most tokens of a window. */
  readonly length: number;
  /** Tokens that a window shares with the one before it. */
  readonly overlap: number;
}

/** The windows of the default length, or of the model's context where that is shorter. */
export function windowShape(contextLength: number, length = 1024, overlap = 256): WindowShape {
  const whole = wholeCells(Math.min(length, contextLength));
  if (whole < 2 * cellLength) {
    throw new Failure(
      'unsupported',
      `The model reads ${contextLength} tokens at once; at least ${2 * cellLength} are needed.`,
    );
  }
  return { length: whole, overlap: Math.min(overlap, wholeCells(whole / 2)) };
}

/** Every token is some window's own, once; only the last window is shorter than the others. */
export function windowsOf(tokens: number, { length, overlap }: WindowShape): Window[] {
  const windows: Window[] = [];
  for (let ownStart = 0; ownStart < tokens;) {
    const index = windows.length;
    const start = index * (length - overlap);
    const end = Math.min(tokens, start + length);
    windows.push({ index, start, ownStart, end });
    ownStart = end;
  }
  return windows;
}

/** The window that owns the token first, then the others in order. */
export function visibleFirst(windows: readonly Window[], token: number): Window[] {
  const isVisible = ({ ownStart, end }: Window): boolean => token >= ownStart && token < end;
  return [...windows.filter(isVisible), ...windows.filter(window => !isVisible(window))];
}

/** Where a run that starts at `from` stops: after about `length` tokens, at a cell's end or the window's. */
export function blockEnd(from: number, length: number, window: Window): number {
  return Math.min(window.end, wholeCells(from + length));
}

function wholeCells(tokens: number): number {
  return Math.floor(tokens / cellLength) * cellLength;
}
