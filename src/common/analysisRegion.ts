/** A part of a text, in UTF-16 offsets. */
export interface TextRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Which part of a text is analysed: all of it, or where it is longer than `longest` the part around what is visible,
 * cut at line ends where there are any nearby and never inside a surrogate pair.
 */
export function analysisRegion(text: string, visible: TextRange, longest: number): TextRange {
  if (text.length <= longest) return { start: 0, end: text.length };
  const middle = Math.round((visible.start + Math.min(visible.end, visible.start + longest)) / 2);
  const first = Math.max(0, Math.min(middle - Math.floor(longest / 2), text.length - longest));
  const start = lineStartAfter(text, first, Math.floor(longest / 8));
  const end = lineEndBefore(text, Math.min(first + longest, text.length), Math.floor(longest / 8));
  return { start, end };
}

function lineStartAfter(text: string, offset: number, within: number): number {
  if (offset === 0) return 0;
  const lineEnd = text.slice(offset - 1, offset + within).indexOf('\n');
  return lineEnd < 0 ? offCharacterMiddle(text, offset) : offset + lineEnd;
}

function lineEndBefore(text: string, offset: number, within: number): number {
  if (offset === text.length) return offset;
  const from = Math.max(0, offset - within);
  const lineEnd = text.slice(from, offset).lastIndexOf('\n');
  return lineEnd < 0 ? offCharacterMiddle(text, offset) : from + lineEnd + 1;
}

function offCharacterMiddle(text: string, offset: number): number {
  const isLowSurrogate = /[\uDC00-\uDFFF]/.test(text.charAt(offset));
  const isAfterHigh = /[\uD800-\uDBFF]/.test(text.charAt(offset - 1));
  return isLowSurrogate && isAfterHigh ? offset - 1 : offset;
}

/** Whether a text looks like the bytes of a binary file read as text: a NUL, or many replacement characters. */
export function looksBinary(text: string): boolean {
  const sample = text.slice(0, 8192);
  if (sample.includes('\0')) return true;
  const replaced = sample.split('\uFFFD').length - 1;
  return replaced > 8 && replaced > sample.length / 20;
}
